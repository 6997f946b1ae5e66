"""Pictures against MuJoCo's own ray casting, which is independent code."""

import colorsys

import mujoco
import numpy as np
import pytest

from video2emg.sim import raster, shapes

_SIZE = {
    "sphere": (0.3,),
    "capsule": (0.12, 0.4),
    "ellipsoid": (0.15, 0.3, 0.5),
    "cylinder": (0.2, 0.35),
    "box": (0.2, 0.3, 0.4),
}
_KIND = {name: int(getattr(mujoco.mjtGeom, f"mjGEOM_{name.upper()}")) for name in _SIZE}


def scene(*bodies: str, world: str = '<geom type="plane" size="4 4 .1"/>'):
    """Model and data with every geom of `bodies` on a body of its own, poses computed."""
    moving = "".join(f'<body><joint type="free"/>{geom}</body>' for geom in bodies)
    model = mujoco.MjModel.from_xml_string(
        f"<mujoco><default><geom mass='1'/></default><worldbody>{world}{moving}</worldbody>"
        "</mujoco>"
    )
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    return model, data


def geom(kind: str, pos=(0, 0, 1), rgba="1 0 0 1", euler="0 0 0", size=None) -> str:
    size = " ".join(map(str, _SIZE[kind] if size is None else size))
    pos = " ".join(map(str, pos))
    return f'<geom type="{kind}" size="{size}" pos="{pos}" euler="{euler}" rgba="{rgba}"/>'


def crowd(seed: int, n: int = 12) -> tuple[str, ...]:
    """Solids of all kinds, poses and colours, overlapping."""
    rng = np.random.default_rng(seed)
    names = list(_SIZE)
    return tuple(
        geom(
            names[i % len(names)],
            pos=rng.uniform((-0.8, -0.8, 0.3), (0.8, 0.8, 1.7)).round(3),
            rgba=" ".join(f"{c:.3f}" for c in colorsys.hsv_to_rgb(i / n, 1, 1)) + " 1",
            euler=" ".join(map(str, rng.uniform(-180, 180, 3).round(1))),
            size=np.array(_SIZE[names[i % len(names)]]) * rng.uniform(0.1, 0.8),
        )
        for i in range(n)
    )


def mujoco_view(model, data, camera: raster.Camera) -> tuple[np.ndarray, np.ndarray]:
    """First geom met through every pixel (−1 none) and its distance along the ray."""
    row, column = np.divmod(np.arange(camera.size**2), camera.size)
    rays = camera.axes.T @ camera.rays(row, column).astype(float)
    rays /= np.linalg.norm(rays, axis=0)
    hit = np.zeros((1, 1), np.int32)
    geoms, distances = [], []
    for ray in rays.T:
        distances.append(
            mujoco.mj_ray(model, data, camera.position, ray, None, 1, -1, hit.reshape(-1), None)
        )
        geoms.append(int(hit[0, 0]))
    shape = (camera.size, camera.size)
    return np.array(geoms).reshape(shape), np.array(distances).reshape(shape)


def hue(pixels: np.ndarray) -> np.ndarray:
    """Colour without brightness."""
    return pixels / np.maximum(pixels.max(-1, keepdims=True), 1)


CAMERA = raster.Camera(200.0, -10.0, 3.0, size=48)


@pytest.mark.parametrize("kind", _SIZE)
@pytest.mark.parametrize("euler", ["0 0 0", "90 0 0", "0 90 0", "20 -50 70"])
def test_hit_and_normal_agree_with_mujoco(kind, euler):
    model, data = scene(geom(kind, euler=euler), world="")
    solid = shapes.SOLIDS[_KIND[kind]]
    size = model.geom_size[:1]
    scale = solid.scale(size)[0]
    rng = np.random.default_rng(0)
    origins = rng.normal(size=(400, 3))
    origins *= 2 / np.linalg.norm(origins, axis=1, keepdims=True)
    targets = rng.uniform(-0.6, 0.6, (400, 3))
    rays = targets - origins
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    half = np.repeat(solid.half(size), 400)
    to_unit = data.geom_xmat[0].reshape(3, 3).T / scale[:, None]
    o, d = to_unit @ origins.T, to_unit @ rays.T
    t = solid.hit(o, d, half)
    normal = solid.normal(o + np.where(np.isfinite(t), t, 0) * d, half)
    normal = data.geom_xmat[0].reshape(3, 3) @ (normal / scale[:, None])
    normal /= np.maximum(np.linalg.norm(normal, axis=0), 1e-12)

    hit, expected_normal = np.zeros(1, np.int32), np.zeros(3)
    n_hit = 0
    for i in range(400):
        start = data.geom_xpos[0] + origins[i]
        distance = mujoco.mj_ray(model, data, start, rays[i], None, 1, -1, hit, expected_normal)
        if distance < 0:
            assert not np.isfinite(t[i])
            continue
        n_hit += 1
        assert t[i] == pytest.approx(distance, abs=1e-6)
        np.testing.assert_allclose(normal[:, i], expected_normal, atol=1e-4)
    assert 30 < n_hit < 390


@pytest.mark.parametrize("seed", range(4))
def test_visible_geom_of_every_pixel_agrees_with_mujoco(seed):
    model, data = scene(*crowd(seed))
    picture = raster.Scene(model, shadow=False).render(data, CAMERA)
    geoms, _ = mujoco_view(model, data, CAMERA)
    solid = geoms > 0  # 0 is the floor
    assert 0.1 < solid.mean() < 0.9
    coloured = np.ptp(hue(picture), axis=-1) > 0.3
    assert (coloured != solid).mean() < 0.002
    both = coloured & solid
    expected = hue(model.geom_rgba[geoms[both], :3])
    # gamma 0.9 and rounding move a saturated hue by a few hundredths
    wrong = np.abs(hue(picture[both]) - expected).max(-1) > 0.12
    assert wrong.mean() < 0.005


def test_shadow_agrees_with_rays_towards_the_lamp():
    model, data = scene(*crowd(1))
    camera = raster.Camera(200.0, -35.0, 4.0, size=64)
    with_shadow = raster.Scene(model).render(data, camera)
    without = raster.Scene(model, shadow=False).render(data, camera)
    darker = (with_shadow.astype(int) < without).any(-1)
    geoms, distance = mujoco_view(model, data, camera)
    row, column = np.nonzero(geoms == 0)
    rays = camera.axes.T @ camera.rays(row, column).astype(float)
    rays /= np.linalg.norm(rays, axis=0)
    points = camera.position[:, None] + rays * distance[row, column]
    lamp = np.array([0.45, -0.35, 1.0]) / np.linalg.norm([0.45, -0.35, 1.0])
    hit = np.zeros(1, np.int32)
    expected = np.zeros_like(darker)
    for r, c, point in zip(row, column, points.T, strict=True):
        start = point + 1e-4 * lamp
        expected[r, c] = mujoco.mj_ray(model, data, start, lamp, None, 1, -1, hit, None) > 0
    assert expected.sum() > 50
    assert (expected != darker).mean() < 0.003
    assert not darker[geoms > 0].any()


def test_floor_is_tiled_at_its_height():
    model, data = scene(world='<geom type="plane" size="4 4 .1" pos="0 0 .2"/>')
    camera = raster.Camera(180.0, -90.0 + 1e-3, 2.0, look_at=(0.25, 0.25, 0.2), size=40)
    picture = raster.Scene(model).render(data, camera).astype(int)
    # Seen from 2 m straight above, half the picture is 2·tan(22.5°) = 0.83 m: 2 squares of 0.5 m.
    scale = 20 / (2 * np.tan(np.deg2rad(22.5)))
    edges = np.flatnonzero(np.abs(np.diff(picture[20, :, 0])) > 5)
    expected = 20 + scale * np.array([-0.75, -0.25, 0.25, 0.75])
    np.testing.assert_allclose(edges + 1, expected, atol=1)


def test_camera_at_180_sees_the_front_and_at_270_the_left_side():
    """The subject faces +x with his left side at +y."""
    nose = geom("sphere", (0.3, 0, 1), "1 0 0 1", size=(0.15,))
    left = geom("sphere", (0, 0.3, 1), "0 1 0 1", size=(0.15,))
    right = geom("sphere", (0, -0.3, 1), "0 0 1 1", size=(0.15,))
    model, data = scene(geom("sphere", size=(0.3,), rgba="1 1 1 1"), nose, left, right, world="")

    def columns(azimuth: float) -> list[float | None]:
        picture = hue(raster.Scene(model).render(data, raster.Camera(azimuth, 0.0, 3.0)))
        where = [np.nonzero((picture[..., i] > 0.9) & (picture.sum(-1) < 1.5))[1] for i in range(3)]
        return [w.mean() if len(w) else None for w in where]

    front_nose, front_left, front_right = columns(180.0)
    assert front_nose == pytest.approx(47.5, abs=0.6)
    assert front_left > 60 > 36 > front_right  # his left is on the right of the picture
    side_nose, side_left, side_right = columns(270.0)
    assert side_right is None and side_left == pytest.approx(47.5, abs=0.6)
    assert side_nose < 36
    assert columns(0.0)[0] is None
    assert raster.Camera(180.0, 0.0, 3.0).position == pytest.approx([3.0, 0.0, 1.0])


def test_nearer_geom_hides_whatever_the_order():
    near, far = geom("sphere", (0.5, 0, 1)), geom("box", (0, 0, 1), "0 0 1 1")
    camera = raster.Camera(180.0, 0.0, 3.0, size=32)
    pictures = [
        raster.Scene(model).render(data, camera)
        for model, data in (scene(near, far), scene(far, near))
    ]
    assert hue(pictures[0])[16, 16] == pytest.approx([1, 0, 0])
    np.testing.assert_array_equal(*pictures)


def test_light_on_a_sphere_follows_lambert():
    """Brightness of a grey sphere's middle: ambient + diffuse · cos(lamp) + headlight."""
    model, data = scene(geom("sphere", rgba=".5 .5 .5 1"), world="")
    lamp = np.array([0.45, -0.35, 1.0]) / np.linalg.norm([0.45, -0.35, 1.0])
    for azimuth in (180.0, 0.0):
        camera = raster.Camera(azimuth, 0.0, 3.0, size=65)
        facing = -camera.axes[2]
        light = 0.34 + 0.50 * max(facing @ lamp, 0) + 0.22
        pixel = raster.Scene(model).render(data, camera)[32, 32]
        np.testing.assert_allclose(pixel, 255 * (0.5 * light) ** 0.9, atol=1.5)


def test_materials_colour_and_group_3_is_not_drawn():
    model = mujoco.MjModel.from_xml_string(
        """<mujoco><asset><material name="m" rgba="0 1 0 1"/></asset><worldbody>
        <geom type="sphere" size=".2" pos="0 0 1" material="m"/>
        <geom type="sphere" size=".4" pos="0 0 1" group="3"/></worldbody></mujoco>"""
    )
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    picture = raster.Scene(model).render(data, raster.Camera(180.0, 0.0, 3.0, size=32))
    assert hue(picture)[16, 16] == pytest.approx([0, 1, 0])
    # Radius 0.2 m at 3 m, 16 px per tan(22.5°): a disc of about 2.58 px radius.
    assert (np.ptp(picture, axis=-1) > 0).sum() == pytest.approx(np.pi * 2.58**2, rel=0.2)


def moved(n: int):
    """Model, and poses of n frames in which everything moves."""
    model, data = scene(*crowd(2), world='<geom type="plane" size="4 4 .1"/>' + WALLS)
    rng = np.random.default_rng(5)
    position, rotation = [], []
    for _ in range(n):
        data.qpos[:] += rng.normal(0, 0.05, model.nq)
        mujoco.mj_kinematics(model, data)
        position.append(data.geom_xpos.copy())
        rotation.append(data.geom_xmat.reshape(-1, 3, 3).copy())
    return model, np.stack(position), np.stack(rotation)


WALLS = (
    '<geom type="box" pos="-3 0 1.5" size=".05 4 1.5"/>'
    '<geom type="box" pos="3.4 0 1.5" size=".05 4 1.5"/>'
)


def test_film_equals_single_pictures_and_repeats(monkeypatch):
    model, position, rotation = moved(5)
    film = raster.Scene(model).film(position, rotation, CAMERA)
    again = raster.Scene(model)
    again.film(position[::-1], rotation[::-1], CAMERA)  # leaves nothing behind in the caches
    np.testing.assert_array_equal(film, again.film(position, rotation, CAMERA))
    for f in range(5):
        np.testing.assert_array_equal(
            film[f], again.film(position[f : f + 1], rotation[f : f + 1], CAMERA)[0]
        )
    monkeypatch.setattr(raster, "_CHUNK", 2 * CAMERA.size**2)
    np.testing.assert_array_equal(film, raster.Scene(model).film(position, rotation, CAMERA))


def test_supersampling_averages_rays():
    model, position, rotation = moved(2)
    fine = raster.Camera(200.0, -10.0, 3.0, size=96)
    expected = raster.Scene(model).film(position, rotation, fine).astype(float)
    expected = expected.reshape(2, 48, 2, 48, 2, 3).mean((2, 4))
    film = raster.Scene(model, supersample=2).film(position, rotation, CAMERA)
    assert film.shape == (2, 48, 48, 3) and film.dtype == np.uint8
    np.testing.assert_allclose(film, expected, atol=0.51)


def test_geoms_around_and_behind_the_camera():
    """A geom behind the camera is not drawn; one that reaches past it is drawn whole."""
    behind, reaching = geom("sphere", (3.6, 0, 1)), geom("box", (1, 0, 0.4), size=(4, 0.2, 0.2))
    camera = raster.Camera(180.0, 0.0, 3.0, size=48)
    model, data = scene(behind, world="")
    assert (np.ptp(raster.Scene(model).render(data, camera), axis=-1) == 0).all()
    model, data = scene(reaching, world="")
    drawn = np.ptp(raster.Scene(model).render(data, camera), axis=-1) > 0
    geoms, _ = mujoco_view(model, data, camera)
    assert (drawn != (geoms >= 0)).mean() < 0.002
