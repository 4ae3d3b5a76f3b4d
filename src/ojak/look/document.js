"use strict";
// What all pages share: the numbers that come with them, and how to make elements and colours.
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const night = matchMedia("(prefers-color-scheme: dark)");

function element(tag, properties = {}, children = []) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function drawn(tag, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function option(value, text) {
  return element("option", { value, textContent: text });
}

// Where the rows or columns of a map begin; before some of them a word ends, and a gap is left.
function edges(start, size, gap, gaps) {
  let at = start;
  return gaps.map((gapped, i) => {
    at += i === 0 ? 0 : size + (gapped ? gap : 0);
    return at;
  });
}

// The colour of a weight, by the scale of paper or of night.
function rgb(weight) {
  const steps = data[(night.matches ? "night" : "paper") + (weight < 0 ? "_below" : "")];
  const w = Math.min(1, Math.abs(weight));
  for (let i = 1; i < steps.length; i++) {
    if (w <= steps[i][0]) {
      const share = (w - steps[i - 1][0]) / (steps[i][0] - steps[i - 1][0]);
      return steps[i][1].map((end, c) => Math.round(steps[i - 1][1][c] + (end - steps[i - 1][1][c]) * share));
    }
  }
  return steps[steps.length - 1][1];
}

function showTexts(source, sourceLang, text, textLang) {
  byId("text-in").textContent = source;
  byId("text-in").lang = sourceLang || "";
  byId("text-out").textContent = text;
  byId("text-out").lang = textLang || "";
}

