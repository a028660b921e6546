/** Tables as markdown: a person reads them on a terminal as they are, README and notes take them over. */

export interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** What must be known to read it rightly: what is unfair to whom, what was checked. */
  readonly notes?: readonly string[];
}

/** One line of the summary: this cache beside its peer. */
export interface SummaryLine {
  readonly what: string;
  readonly ours: string;
  readonly peer: string;
  /** Above 1: this cache is better. */
  readonly ratio: string;
}

export interface Report {
  readonly name: string;
  readonly question: string;
  readonly tables: readonly Table[];
  readonly summary: readonly SummaryLine[];
  /** Load average at start and end, seconds taken: noise has a cause. */
  readonly ran: string;
}

export const SUMMARY_COLUMNS = ['question', 'ProfileCache', 'beside it', 'ratio (middle half of the rounds)'];

/** Columns as wide as their widest cell: also a readable text. The first column is text, the others are figures. */
export function tableText(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = columns.map((column, i) => Math.max(3, column.length, ...rows.map((row) => row[i].length)));
  const line = (cells: readonly string[]) => `| ${cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join(' | ')} |`;
  const rule = `|${widths.map((width, i) => (i === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`;
  return [line(columns), rule, ...rows.map(line)].join('\n');
}

export function reportText(report: Report): string {
  const parts = [`## ${report.name}`, report.question];
  for (const { title, columns, rows, notes = [] } of report.tables) {
    parts.push(`**${title}**`, tableText(columns, rows));
    if (notes.length > 0) parts.push(notes.map((note) => `- ${note}`).join('\n'));
  }
  parts.push(`_${report.ran}_`);
  return parts.join('\n\n');
}

export function summaryText(reports: readonly Report[]): string {
  const rows = reports.flatMap(({ summary }) => summary).map(({ what, ours, peer, ratio }) => [what, ours, peer, ratio]);
  return rows.length === 0 ? '' : tableText(SUMMARY_COLUMNS, rows);
}
