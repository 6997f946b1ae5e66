"use strict";
// The only state is the time of the cursor; `show` updates all elements that depend on it.
(function () {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const percent = (x) => (100 * x).toFixed(0) + " %";
  const make = (tag, text, attributes) => {
    const element = document.createElement(tag);
    if (text !== undefined && text !== null) element.textContent = text;
    for (const [name, value] of Object.entries(attributes || {})) element.setAttribute(name, value);
    return element;
  };
  const decode = (text) => {
    const raw = atob(text), bytes = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
    return bytes;
  };
  // Samples are little-endian 16-bit integers; the largest value means "missing".
  const samples = (text) => text === null ? null : Array.from(
    new Uint16Array(decode(text).buffer), (x) => x === 65535 ? null : x * data.quantum);

  const channels = data.channels.map((c) => Object.assign({}, c, {
    emg: samples(c.emg), low: samples(c.low), high: samples(c.high), measured: samples(c.measured) }));
  const times = channels.length ? channels[0].emg.map((_, i) => i * data.period) : [];
  const muscles = [...new Set(channels.map((c) => c.muscle))];
  const channel = (muscle, side) => channels.find((c) => c.muscle === muscle && c.side === side);
  let now = 0, playing = false, started = 0;

  // Head.
  $("title").textContent = data.title;
  $("about").textContent = data.about;
  $("method").textContent = data.method;
  if (data.score !== null) {
    $("score").textContent = data.score.toFixed(0);
    $("score").append(make("small", "of 100, mean of " + data.repetitions.filter((r) => r.score !== null).length + " repetitions"));
  } else if (data.has_aqa_head) {
    $("score").textContent = "–";
    $("score").append(make("small", "no score: see the warnings"));
  }
  $("followed").textContent = data.followed;
  for (const text of data.warnings) $("warnings").append(make("li", text));

  // Video.
  let video = null;
  const encoded = $("video").textContent.trim();
  if (encoded) {
    video = make("video", null, { playsinline: "", preload: "auto", "aria-label": "The recording" });
    video.muted = true;
    video.src = URL.createObjectURL(new Blob([decode(encoded)], { type: "video/mp4" }));
    $("stage").append(video);
    video.addEventListener("click", toggle);
    video.addEventListener("ended", () => stop());
  } else {
    $("stage").append(make("p", "The video is not part of this report: " + data.no_video_reason, { class: "quiet" }));
  }

  // Colours of activation.
  const style = () => getComputedStyle(document.documentElement);
  const rgb = (name) => {
    const hex = style().getPropertyValue(name).trim();
    return [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
  };
  let stops = [];
  const colour = (x) => {
    const at = Math.min(Math.max(x, 0), 1) * 2, k = Math.min(Math.floor(at), 1), f = at - k;
    return "rgb(" + stops[k].map((a, i) => Math.round(a + f * (stops[k + 1][i] - a))).join(",") + ")";
  };
  const shapes = channels.map((c) => document.querySelectorAll('[data-channel="' + c.side + "_" + c.muscle + '"]'));
  function paint() {
    stops = ["--a0", "--a1", "--a2"].map(rgb);
    const canvas = document.querySelector("#legend canvas"), pen = canvas.getContext("2d");
    for (let x = 0; x < canvas.width; x++) {
      pen.fillStyle = colour(x / canvas.width);
      pen.fillRect(x, 0, 1, canvas.height);
    }
    $("colour_max").textContent = percent(data.colour_max) + " " + data.unit;
  }

  // Table at the cursor.
  const cells = muscles.map((muscle) => {
    const row = make("tr"), left = make("td", "–"), right = make("td", "–"), share = make("td");
    row.append(make("th", muscle.replaceAll("_", " "), { scope: "row" }), left, right, share);
    document.querySelector("#now tbody").append(row);
    return { muscle, left, right, share };
  });
  const shareBar = (cell, value) => {
    cell.replaceChildren();
    if (value === null || !isFinite(value)) { cell.textContent = "–"; return; }
    const bar = make("span", null, { class: "bar", "aria-hidden": "true" });
    bar.style.setProperty("--share", percent(value).replace(" ", ""));
    cell.append(bar, percent(value));
  };

  // Timeline.
  const place = (element, start, end) => {
    element.style.left = 100 * start / data.duration + "%";
    element.style.width = 100 * (end - start) / data.duration + "%";
    return element;
  };
  const lanes = ["repetitions", "steps", "errors"].map((name) => make("div", null, { class: "lane " + name }));
  const blocks = data.repetitions.map((repetition, i) => {
    const label = "repetition " + (i + 1) + (repetition.score === null ? "" : ", score " + repetition.score.toFixed(0));
    const block = place(make("button", String(i + 1), { type: "button", "aria-label": label, title: label }), repetition.start, repetition.end);
    block.addEventListener("click", () => show(repetition.start));
    lanes[0].append(block);
    for (const step of repetition.steps) {
      lanes[1].append(place(make("span", step.name, { class: step.phase, title: step.name }), step.start, step.end));
    }
    for (const finding of repetition.findings) {
      if (finding.start === null) continue;
      const text = finding.error + " (" + finding.step + ", repetition " + (i + 1) + ")";
      const mark = place(make("button", "!", { type: "button", "aria-label": text, title: text + ". " + finding.advice.join(" ") }), finding.start, finding.end);
      mark.addEventListener("click", () => show(finding.start));
      lanes[2].append(mark);
    }
    return block;
  });
  const any = (list) => data.repetitions.some((r) => r[list].length);
  lanes.forEach((lane, i) => { if ([data.repetitions.length > 0, any("steps"), any("findings")][i]) $("timeline").append(lane); });
  const needle = make("div", null, { id: "needle" });
  $("timeline").append(needle);

  // Traces.
  let charts = [];
  function draw() {
    charts.forEach((chart) => chart.destroy());
    $("charts").replaceChildren();
    const css = (name) => style().getPropertyValue(name).trim();
    const width = $("charts").clientWidth, narrow = width < 560;
    charts = muscles.map((muscle) => {
      const hidden = [];
      const series = [{ label: "s", value: (_, x) => x === null ? "–" : x.toFixed(2) }], values = [times], bands = [];
      for (const side of ["left", "right"]) {
        const trace = channel(muscle, side);
        if (!trace) continue;
        const stroke = css("--" + side), value = (_, x) => x === null || x === undefined ? "–" : percent(x);
        series.push({ label: side, stroke, width: 2, value, points: { show: false } });
        values.push(trace.emg);
        if (trace.low) {
          for (const bound of [trace.high, trace.low]) {
            hidden.push(series.length);
            series.push({ label: "bound", stroke: "transparent", width: 0, points: { show: false } });
            values.push(bound);
          }
          bands.push({ series: [series.length - 2, series.length - 1], fill: stroke + "22" });
        }
        if (trace.measured) {
          series.push({ label: side + " measured", stroke, width: 1.3, dash: [5, 4], value, points: { show: false } });
          values.push(trace.measured);
        }
      }
      const box = make("div", null, { class: "chart" });
      box.append(make("h2", muscle.replaceAll("_", " ")));
      $("charts").append(box);
      const axis = { stroke: css("--ink"), grid: { stroke: css("--line"), width: 1 }, ticks: { stroke: css("--line"), width: 1 } };
      const chart = new uPlot({
        width, height: narrow ? 170 : 200, bands, series,
        scales: { x: { time: false, range: [0, data.duration] }, y: { range: [0, data.chart_max] } },
        axes: [Object.assign({ values: (_, ticks) => ticks.map((x) => x + " s") }, axis),
          Object.assign({ size: 56, values: (_, ticks) => ticks.map(percent) }, axis)],
        cursor: { drag: { x: false, y: false }, y: false, points: { show: false }, move: (_, left, top) => [left, top] },
        legend: { live: true },
        hooks: { ready: [align] },
      }, values, box);
      chart.root.querySelectorAll(".u-legend .u-series").forEach((row, i) => {
        if (hidden.includes(i)) row.style.display = "none";
      });
      // uPlot's cursor follows the pointer; here it must stay at the time of the video.
      const over = chart.over;
      const seek = (event) => show(chart.posToVal(event.clientX - over.getBoundingClientRect().left, "x"));
      for (const kind of ["mousemove", "mouseleave", "mouseenter"]) over.addEventListener(kind, (event) => {
        event.stopImmediatePropagation();
        if (kind === "mousemove" && event.buttons) seek(event);
        point(chart);
      }, true);
      over.addEventListener("mousedown", seek);
      return chart;
    });
  }
  // Aligns the timeline with the time axis of the plots.
  function align(chart) {
    const over = chart.over, left = over.offsetLeft;
    $("timeline").style.marginLeft = left + "px";
    $("timeline").style.marginRight = chart.width - left - over.offsetWidth + "px";
    point(chart);
  }
  const point = (chart) => chart.setCursor({ left: chart.valToPos(now, "x"), top: 10 }, false);

  // Repetitions as text.
  const articles = data.repetitions.map((repetition, i) => {
    const article = make("article");
    article.append(make("h2", "Repetition " + (i + 1) + (repetition.score === null ? "" : ": " + repetition.score.toFixed(0) + " of 100")));
    article.append(make("p", repetition.summary, { class: "quiet" }));
    if (repetition.score !== null) {
      const table = make("table"), body = make("tbody"), head = make("tr");
      for (const [text, number] of [["score breakdown", 0], ["probability", 1], ["points", 1]]) head.append(make("th", text, { scope: "col", class: number ? "number" : "" }));
      const line = (text, probability, points) => {
        const row = make("tr");
        row.append(make("td", text), make("td", probability, { class: "number" }), make("td", points, { class: "number" }));
        body.append(row);
      };
      line("without errors", "", "100.0");
      for (const finding of repetition.findings) line(finding.error + " · " + finding.step, percent(finding.probability), "−" + finding.penalty.toFixed(1));
      line("other, less probable errors", "", (repetition.remainder <= 0 ? "−" : "+") + Math.abs(repetition.remainder).toFixed(1));
      const top = make("thead");
      top.append(head);
      table.append(top, body);
      article.append(table);
      if (repetition.findings.length) {
        const list = make("ol");
        for (const finding of repetition.findings) list.append(make("li", finding.error + ": " + [finding.meaning, finding.effects, ...finding.advice].filter(Boolean).join(" ")));
        article.append(list);
      }
    }
    $("repetitions").append(article);
    return article;
  });
  if (!articles.length) $("repetitions").append(make("p", "No repetition was found."));
  $("key").textContent = "Solid: predicted" + (channels.some((c) => c.measured) ? "; dashed: measured" : "") +
    (channels.some((c) => c.low) ? "; shaded: " + percent(data.level) + " of validation samples lie within" : "") +
    ". Unit: " + data.unit + ".";

  function show(time, fromVideo) {
    now = Math.min(Math.max(time, 0), data.duration);
    if (video && !fromVideo) video.currentTime = Math.min(now, video.duration || now);
    $("scrub").value = now;
    $("scrub").setAttribute("aria-valuetext", now.toFixed(1) + " seconds");
    $("clock").textContent = now.toFixed(1) + " / " + data.duration.toFixed(1) + " s";
    needle.style.left = 100 * now / data.duration + "%";
    const index = Math.min(Math.round(now / data.period), times.length - 1);
    channels.forEach((c, i) => shapes[i].forEach((shape) => { shape.style.fill = colour(c.emg[index] / data.colour_max); }));
    for (const row of cells) {
      const [left, right] = ["left", "right"].map((side) => channel(row.muscle, side));
      row.left.textContent = left ? percent(left.emg[index]) : "–";
      row.right.textContent = right ? percent(right.emg[index]) : "–";
      const sum = left && right ? left.emg[index] + right.emg[index] : 0;
      shareBar(row.share, sum > 0 ? left.emg[index] / sum : null);
    }
    charts.forEach(point);
    data.repetitions.forEach((repetition, i) => {
      const current = String(now >= repetition.start && now < repetition.end);
      blocks[i].setAttribute("aria-current", current);
      articles[i].setAttribute("aria-current", current);
    });
  }

  // Playing.
  function stop() {
    playing = false;
    if (video) video.pause();
    $("play").textContent = "Play";
    $("play").setAttribute("aria-pressed", "false");
  }
  function toggle() {
    if (playing) return stop();
    playing = true;
    if (now >= data.duration - 0.05) show(0);
    $("play").textContent = "Stop";
    $("play").setAttribute("aria-pressed", "true");
    started = performance.now() / 1000 - now;
    if (video) video.play().catch(stop);
    requestAnimationFrame(tick);
  }
  function tick() {
    if (!playing) return;
    const time = video ? video.currentTime : performance.now() / 1000 - started;
    show(time, true);
    if (time >= data.duration) return stop();
    requestAnimationFrame(tick);
  }
  $("play").addEventListener("click", toggle);
  $("scrub").max = data.duration;
  $("scrub").addEventListener("input", () => { stop(); show(Number($("scrub").value)); });
  document.addEventListener("keydown", (event) => {
    if (event.key === " " && !["BUTTON", "SUMMARY"].includes(event.target.tagName)) {
      event.preventDefault();
      toggle();
    }
  });
  const all = () => { paint(); draw(); show(now, true); };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", all);
  let width = innerWidth;
  addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; all(); } });
  all();
  if (video) video.addEventListener("loadeddata", () => show(now), { once: true });
  document.documentElement.dataset.ready = "true";
})();
