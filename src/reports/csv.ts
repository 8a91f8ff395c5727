/**
 * Reports as CSV (RFC 4180: comma, CRLF, every cell quoted), safe to open in a spreadsheet: text that it
 * would take for a formula gets an apostrophe in front (OWASP, CSV injection).
 */

export type Cell = string | number | null;

/** Our own figures, which may well be negative, are no formulas. */
const figureForm = /^-?\d+(\.\d+)?$/;
/**
 * Spreadsheets skip white space and invisible characters before a formula; full-width forms work as well.
 */
const formulaForm = /^(?:[\t\r]|[\s\p{Cc}\p{Cf}]*[=+\-@＝＋－＠])/u;

/** The first line names the columns; each row holds their values. */
export function toCsv<Column extends string>(
  columns: readonly Column[],
  rows: Iterable<Readonly<Record<Column, Cell>>>,
): string {
  const lines = [columns.map(quote).join(',')];
  for (const row of rows) lines.push(columns.map((column) => toCell(row[column])).join(','));
  return `${lines.join('\r\n')}\r\n`;
}

function toCell(value: Cell): string {
  if (value === null) return quote('');
  const text = String(value);
  const isFormula = formulaForm.test(text) && !figureForm.test(text);
  return quote(isFormula ? `'${text}` : text);
}

function quote(text: string): string {
  return `"${text.replaceAll('"', '""')}"`;
}
