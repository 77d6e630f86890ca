"use strict";
(() => {
  const element = (id) => document.getElementById(id);
  const data = JSON.parse(element("timeline").textContent);
  const media = element("media"), chart = element("chart"), rows = element("rows"), problem = element("problem");
  const duration = Math.max(data.duration, 1e-3);
  const intervals = []; // of each row that has some: {button, start, end, name}
  const playheads = [];
  let now = 0, said = "", saidAt = -Infinity, waiting = 0, objectUrl = "";

  const make = (name, className, text) => {
    const node = document.createElement(name);
    if (className) node.className = className;
    if (text !== undefined) node.textContent = text;
    return node;
  };
  const clock = (seconds) => {
    const whole = Math.floor(seconds + 1e-6), hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
    const two = (number) => String(number).padStart(2, "0");
    return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
  };
  const percent = (seconds) => `${(100 * Math.min(Math.max(seconds, 0), duration)) / duration}%`;

  // An SVG of steps, each `width` seconds wide, with heights from 0 to 1.
  const drawing = (values, width, className, threshold) => {
    const space = "http://www.w3.org/2000/svg", svg = document.createElementNS(space, "svg");
    svg.setAttribute("viewBox", `0 0 ${duration} 1`);
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true");
    const path = document.createElementNS(space, "path");
    const steps = values.map((value, i) => `V${1 - value}H${Math.min((i + 1) * width, duration)}`);
    path.setAttribute("d", `M0 1${steps.join("")}V1Z`);
    path.setAttribute("class", className);
    svg.append(path);
    if (threshold !== undefined) {
      const line = document.createElementNS(space, "path");
      line.setAttribute("d", `M0 ${1 - threshold}H${duration}`);
      line.setAttribute("class", "threshold");
      svg.append(line);
    }
    return svg;
  };

  const playhead = (parent) => {
    const line = make("div", "now");
    parent.append(line);
    playheads.push(line);
  };

  const addInterval = (scores, entry, row, [start, end, score]) => {
    const button = make("button", "interval", score.toFixed(2));
    button.type = "button";
    button.tabIndex = -1;
    button.setAttribute("aria-label", `${entry.name}, ${clock(start)} to ${clock(end)}, score ${score.toFixed(2)}`);
    button.style.left = percent(start);
    button.style.width = `${(100 * (end - start)) / duration}%`;
    button.addEventListener("click", (event) => {
      event.stopPropagation();
      choose(button);
      seek(start, true);
    });
    scores.append(button);
    row.push({ button, start, end, name: entry.name });
  };

  const addRow = (entry) => {
    const row = make("div", entry.below ? "row low" : "row"), name = make("div", "name", entry.name);
    const track = make("div", "track"), scores = make("div", "scores"), own = [];
    row.setAttribute("role", "group");
    row.setAttribute("aria-label", `${entry.name}, highest score ${entry.peak.toFixed(2)}`);
    name.append(make("span", "", `highest ${entry.peak.toFixed(2)}${entry.below ? ", below its threshold" : ""}`));
    scores.append(drawing(entry.scores, data.step, "area", entry.high));
    scores.addEventListener("click", (event) => {
      const box = scores.getBoundingClientRect();
      seek(((event.clientX - box.left) / box.width) * duration, true);
    });
    entry.segments.forEach((segment) => addInterval(scores, entry, own, segment));
    track.append(scores);
    if (entry.attention) {
      const looks = make("div", "looks");
      looks.append(drawing(entry.attention, data.attentionStep, ""));
      track.append(looks);
    }
    playhead(track);
    row.append(name, track);
    rows.append(row);
    if (own.length) intervals.push(own);
  };

  const addAxis = () => {
    const axis = make("div", "axis"), ticks = make("div", "ticks");
    const step = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600].find((s) => duration / s <= 10) || Math.ceil(duration / 10);
    for (let seconds = 0; seconds < duration * 0.97; seconds += step) {
      const tick = make("span", "", clock(seconds));
      tick.style.left = percent(seconds);
      ticks.append(tick);
    }
    ticks.setAttribute("aria-hidden", "true");
    axis.append(make("div"), ticks);
    rows.append(axis);
  };

  const playable = () => media.hasAttribute("src") && !media.error;

  const seek = (seconds, play) => {
    now = Math.min(Math.max(seconds, 0), duration);
    if (playable()) {
      media.currentTime = now;
      if (play) media.play().catch(() => {});
    }
    show();
  };

  const toggle = () => {
    if (!playable()) return;
    if (media.paused) media.play().catch(() => {});
    else media.pause();
  };

  // The live region is told of a change, at most once a second.
  const announce = (text) => {
    if (text === said) return;
    const wait = saidAt + 1000 - performance.now();
    clearTimeout(waiting);
    if (wait > 0) {
      waiting = setTimeout(() => announce(text), wait);
      return;
    }
    said = text;
    saidAt = performance.now();
    element("live").textContent = `Here: ${text}`;
  };

  const show = () => {
    const current = [];
    playheads.forEach((line) => (line.style.left = percent(now)));
    element("clock").textContent = `${clock(now)} of ${clock(duration)}`;
    for (const row of intervals)
      for (const { button, start, end, name } of row) {
        const inside = start <= now && now < end;
        if (inside) current.push(name);
        if (inside) button.setAttribute("aria-current", "true");
        else button.removeAttribute("aria-current");
      }
    announce(current.join(", ") || "no class");
  };

  // Roving tabindex: one interval is in the order of the Tab key, the last one that had the focus.
  const choose = (button) => {
    for (const row of intervals) for (const interval of row) interval.button.tabIndex = interval.button === button ? 0 : -1;
    button.focus();
  };

  const nearest = (row, seconds) =>
    row.reduce((best, interval) => (Math.abs(interval.start - seconds) < Math.abs(best.start - seconds) ? interval : best));

  const moved = (key, row, place) => {
    const own = intervals[row];
    if (key === "ArrowRight") return own[Math.min(place + 1, own.length - 1)];
    if (key === "ArrowLeft") return own[Math.max(place - 1, 0)];
    if (key === "Home") return own[0];
    if (key === "End") return own[own.length - 1];
    const other = intervals[row + (key === "ArrowDown" ? 1 : -1)];
    return other ? nearest(other, own[place].start) : own[place];
  };

  const onKey = (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const row = intervals.findIndex((own) => own.some(({ button }) => button === event.target));
    const place = row < 0 ? -1 : intervals[row].findIndex(({ button }) => button === event.target);
    if (event.key === " ") toggle();
    else if (event.key === "," || event.key === ".") seek((playable() ? media.currentTime : now) + (event.key === "," ? -1 : 1), false);
    else if (place >= 0 && event.key === "Enter") seek(intervals[row][place].start, true);
    else if (place >= 0 && /^(Arrow(Left|Right|Up|Down)|Home|End)$/.test(event.key)) choose(moved(event.key, row, place).button);
    else return;
    event.preventDefault();
  };

  const load = (file) => {
    if (objectUrl) URL.revokeObjectURL(objectUrl);
    objectUrl = URL.createObjectURL(file);
    problem.hidden = true;
    media.hidden = false;
    media.src = objectUrl;
    media.currentTime = now;
  };

  data.classes.forEach(addRow);
  addAxis();
  if (intervals.length) intervals[0][0].button.tabIndex = 0;
  else chart.tabIndex = 0;
  element("chart-section").hidden = false;
  element("looks-legend").hidden = !data.classes.some((entry) => entry.attention);
  element("picker").hidden = media.hasAttribute("src");
  element("file").addEventListener("change", (event) => event.target.files.length && load(event.target.files[0]));
  chart.addEventListener("keydown", onKey);
  chart.addEventListener("keyup", (event) => event.key === " " && event.preventDefault());
  const failed = () => {
    problem.textContent =
      "This video cannot be shown: it is not where it was, or the browser does not play its kind (mkv and HEVC, mostly). Choose an mp4 or webm copy.";
    problem.hidden = element("picker").hidden = false;
    media.hidden = true;
  };
  media.addEventListener("error", failed);
  media.addEventListener("timeupdate", () => {
    now = media.currentTime;
    show();
  });
  for (const name of ["play", "pause", "ended"])
    media.addEventListener(name, () => document.body.classList.toggle("playing", !media.paused));
  if (media.error) failed();
  show();
})();
