/** The table of a chaos run, and its place in a note. */
import type { RowReport } from './chaos-run.ts';

const COLUMNS = ['row', 'fault', 'operations', 'failed', 'not answered', 'queued', 'longest stall ms (our own loop)', 'hung', 'stale', 'wrong', 'recovery ms', 'mark', 'verdict', 'machine load'];
const BLOCK = /(<!-- chaos -->\n)([^]*?)(<!-- \/chaos -->)/;

function line(report: RowReport): string {
  const { operations, failed, unanswered, queued, stallMs, lagMs, hung, stale, wrong, recoveryMs } = report;
  const figure = (value: number | undefined) => (value === undefined ? '' : Math.round(value).toLocaleString('en-US'));
  const missed = report.checks.filter(({ ok }) => !ok);
  const marks = report.checks.filter(({ ok }) => ok).map(({ text }) => text);
  const mark = missed.length > 0 ? `**missed: ${missed.map(({ text }) => text).join('; ')}**` : marks.filter((text) => !/^(failed|hung|stale|wrong|queue drained)/.test(text)).join('; ');
  const stall = stallMs === undefined ? '' : `${figure(stallMs)} (${figure(lagMs)})`;
  const cells = [report.id, report.fault, figure(operations), figure(failed), figure(unanswered), figure(queued), stall, figure(hung), figure(stale), figure(wrong), figure(recoveryMs), mark || (report.notes[0] ?? ''), report.verdict, report.load.toFixed(1)];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

const head = `| ${COLUMNS.join(' | ')} |\n|${COLUMNS.map(() => '---').join('|')}|`;

export const chaosTable = (reports: readonly RowReport[]): string => [head, ...reports.map(line)].join('\n');

/** Rows that ran replace their own lines; those that did not stay. */
export function mergeChaos(note: string, reports: readonly RowReport[], order: readonly string[]): string {
  return note.replace(BLOCK, (_, start: string, before: string, end: string) => {
    const lines = new Map<string, string>();
    for (const old of before.split('\n')) {
      const id = /^\| (\S+) \| /.exec(old)?.[1];
      if (id !== undefined && id !== 'row') lines.set(id, old);
    }
    for (const report of reports) lines.set(report.id, line(report));
    const ids = [...lines.keys()].sort((a, b) => rank(order, a) - rank(order, b));
    return `${start}\n${head}\n${ids.map((id) => lines.get(id)!).join('\n')}\n\n${end}`;
  });
}

const rank = (order: readonly string[], id: string): number => (order.includes(id) ? order.indexOf(id) : order.length);
