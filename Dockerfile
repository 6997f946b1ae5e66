# docker build -t video2emg . ; docker run --rm -v "$PWD/runs:/video2emg/runs" -v "$PWD/data:/video2emg/data" video2emg
# GPU: docker build --build-arg JAX='jax[cuda13]<0.13' … and docker run --gpus all …
FROM python:3.11-slim
ARG JAX="jax<0.13"
WORKDIR /video2emg
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt "$JAX"
COPY . .
# exec form: the run is process 1 and is told when the container is stopped, so that it saves.
ENTRYPOINT ["python", "launch.py"]
CMD ["--config", "configs/v2emg.py", "--workdir", "runs/v2emg"]
STOPSIGNAL SIGTERM
