/** Tables for people at a terminal. */

export interface TextColumn {
  name: string;
  align?: 'left' | 'right';
}

/** Columns as wide as their widest cell, two spaces apart, under a ruled line of names. */
export function formatTable(
  columns: readonly TextColumn[],
  rows: readonly (readonly string[])[],
): string {
  const widths = columns.map(({ name }, at) =>
    Math.max(widthOf(name), ...rows.map((row) => widthOf(row[at] ?? ''))),
  );
  const line = (cells: readonly string[]) =>
    columns
      .map(({ align }, at) => pad(cells[at] ?? '', widths[at] ?? 0, align ?? 'left'))
      .join('  ')
      .trimEnd();
  const rule = widths.map((width) => '─'.repeat(width)).join('  ');
  return [line(columns.map(({ name }) => name)), rule, ...rows.map(line)].join('\n');
}

function pad(text: string, width: number, align: 'left' | 'right'): string {
  const space = ' '.repeat(width - widthOf(text));
  return align === 'left' ? text + space : space + text;
}

/** What a reader counts as letters: a composed one is one. */
function widthOf(text: string): number {
  return [...text.normalize('NFC')].length;
}
