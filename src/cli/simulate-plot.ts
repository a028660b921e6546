/** The miss ratios of a simulation as one SVG: cache size across on a logarithmic scale, miss ratio up, a line a policy. No script, no font to load. */
import { count } from './format.ts';

export interface PlotPoint {
  /** What the cache holds: entries or bytes. */
  size: number;
  label: string;
  missRatio: number;
}

export interface PlotLine {
  name: string;
  points: readonly PlotPoint[];
}

const WIDTH = 920;
const HEIGHT = 540;
const PLOT = { left: 78, right: 190, top: 64, bottom: 78 };
/** Told apart by those who see colours differently too (M. Okabe and K. Ito); dashes help further, and in print. */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#b8860b', '#56b4e9', '#8c564b'];
const DASHES = ['', '7 3', '2 3', '9 3 2 3', '5 5', '1 4', '12 4'];
const OPTIMUM_COLOUR = '#444444';
const LABEL_GAP = 17;
const TICKS = 5;

export function plotSvg(title: string, sizeUnit: 'entries' | 'bytes', lines: readonly PlotLine[]): string {
  const sizes = [...new Map(lines[0].points.map((point) => [point.size, point.label]))].sort((a, b) => a[0] - b[0]);
  const ratios = lines.flatMap((line) => line.points.map((point) => point.missRatio));
  const y = yScale(Math.min(...ratios), Math.max(...ratios));
  const [low, high] = [Math.log(sizes[0][0]), Math.log(sizes[sizes.length - 1][0])];
  const right = WIDTH - PLOT.right;
  const bottom = HEIGHT - PLOT.bottom;
  const x = (size: number) => (high === low ? (PLOT.left + right) / 2 : PLOT.left + 14 + ((Math.log(size) - low) / (high - low)) * (right - PLOT.left - 28));
  const out = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" font-family="Helvetica, Arial, sans-serif" font-size="13" fill="#222">`,
    `<title>${escape(title)}</title>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    `<text x="${PLOT.left}" y="30" font-size="17" font-weight="bold">${escape(title)}</text>`,
    `<text x="${PLOT.left}" y="50" fill="#666">miss ratio by cache size; lower is better</text>`,
  ];
  for (const value of y.ticks) {
    out.push(`<line x1="${PLOT.left}" x2="${right}" y1="${n(y.at(value))}" y2="${n(y.at(value))}" stroke="#e4e4e4"/>`);
    out.push(`<text x="${PLOT.left - 9}" y="${n(y.at(value) + 4)}" text-anchor="end" fill="#555">${value.toFixed(y.digits)}</text>`);
  }
  out.push(`<path d="M${PLOT.left} ${PLOT.top}V${bottom}H${right}" fill="none" stroke="#888"/>`);
  let labelledTo = -Infinity;
  for (const [size, label] of sizes) {
    out.push(`<line x1="${n(x(size))}" x2="${n(x(size))}" y1="${bottom}" y2="${bottom + 5}" stroke="#888"/>`);
    const width = 7 * Math.max(label.length, count(size).length) + 8;
    // Sizes may lie close together: a label that would run into the one before is left out, its tick stays.
    if (x(size) - width / 2 < labelledTo) continue;
    labelledTo = x(size) + width / 2;
    out.push(`<text x="${n(x(size))}" y="${bottom + 20}" text-anchor="middle" fill="#555">${escape(label)}</text>`);
    if (label !== count(size)) out.push(`<text x="${n(x(size))}" y="${bottom + 36}" text-anchor="middle" fill="#888" font-size="11">${count(size)}</text>`);
  }
  out.push(`<text x="${(PLOT.left + right) / 2}" y="${HEIGHT - 18}" text-anchor="middle">cache size (share of the unique keys, ${sizeUnit})</text>`);
  out.push(`<text transform="translate(20 ${(PLOT.top + bottom) / 2}) rotate(-90)" text-anchor="middle">miss ratio</text>`);
  out.push(...drawLines(lines, x, y.at, right), '</svg>');
  return `${out.join('\n')}\n`;
}

/** Each line ends in its name, moved apart where ends lie close: that is the legend. */
function drawLines(lines: readonly PlotLine[], x: (size: number) => number, y: (ratio: number) => number, right: number): string[] {
  const drawn: string[] = [];
  const ends: { name: string; colour: string; dash: string; y: number; at: number }[] = [];
  lines.forEach((line, index) => {
    const last = index === lines.length - 1;
    const colour = last ? OPTIMUM_COLOUR : COLOURS[index % COLOURS.length];
    const dash = last ? '' : DASHES[index % DASHES.length];
    const points = [...line.points].sort((a, b) => a.size - b.size);
    const path = points.map((point, i) => `${i === 0 ? 'M' : 'L'}${n(x(point.size))} ${n(y(point.missRatio))}`).join('');
    drawn.push(`<path d="${path}" fill="none" stroke="${colour}" stroke-width="2"${dash === '' ? '' : ` stroke-dasharray="${dash}"`} stroke-linejoin="round"/>`);
    for (const point of points) drawn.push(`<circle cx="${n(x(point.size))}" cy="${n(y(point.missRatio))}" r="3" fill="${colour}"><title>${escape(`${line.name}, ${point.label}: ${point.missRatio.toFixed(4)}`)}</title></circle>`);
    const end = points[points.length - 1];
    ends.push({ name: line.name, colour, dash, at: y(end.missRatio), y: y(end.missRatio) });
  });
  ends.sort((a, b) => a.at - b.at);
  for (let i = 1; i < ends.length; i++) ends[i].y = Math.max(ends[i].y, ends[i - 1].y + LABEL_GAP);
  const overflow = Math.max(0, (ends[ends.length - 1]?.y ?? 0) - (HEIGHT - PLOT.bottom));
  if (overflow > 0) {
    ends[ends.length - 1].y -= overflow;
    for (let i = ends.length - 2; i >= 0; i--) ends[i].y = Math.min(ends[i].y, ends[i + 1].y - LABEL_GAP);
  }
  for (const end of ends) {
    drawn.push(`<path d="M${right - 8} ${n(end.at)}L${right + 10} ${n(end.y)}" stroke="#bbb" fill="none"/>`);
    drawn.push(`<line x1="${right + 10}" x2="${right + 36}" y1="${n(end.y)}" y2="${n(end.y)}" stroke="${end.colour}" stroke-width="2"${end.dash === '' ? '' : ` stroke-dasharray="${end.dash}"`}/>`);
    drawn.push(`<text x="${right + 42}" y="${n(end.y + 4)}">${escape(end.name)}</text>`);
  }
  return drawn;
}

function yScale(least: number, most: number): { ticks: number[]; digits: number; at: (ratio: number) => number } {
  const span = Math.max(most - least, 0.01);
  const raw = span / TICKS;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= raw) ?? raw;
  const low = Math.max(0, Math.floor(least / step) * step);
  const high = Math.ceil(most / step + 1e-9) * step;
  const ticks = Array.from({ length: Math.round((high - low) / step) + 1 }, (_, i) => low + i * step);
  const bottom = HEIGHT - PLOT.bottom;
  return { ticks, digits: Math.max(1, Math.ceil(-Math.log10(step) - 1e-9)), at: (ratio) => bottom - ((ratio - low) / (high - low)) * (bottom - PLOT.top) };
}

const n = (value: number): string => String(Math.round(value * 10) / 10);
const escape = (text: string): string => text.replace(/[&<>"]/g, (char) => `&#${char.charCodeAt(0)};`);
