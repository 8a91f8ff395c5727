/** One row of the figures: what was measured, beside its floor, in the same run. */
export interface Row {
  what: string;
  /** The floor's result and ours, as people read them. */
  floor: string;
  ours: string;
  /** Ours in terms of the floor; null where the figure stands alone. */
  ratio: number | null;
  goal: string;
  isReached: boolean;
  /** Anything one must know to read it. */
  note?: string;
}

export interface BenchOptions {
  size: 'short' | 'full';
  seed: number;
}

export function printRow(row: Row): void {
  const ratio = row.ratio === null ? '' : `  ratio ${row.ratio.toFixed(2)}`;
  const verdict = row.isReached ? 'reached' : 'missed';
  console.log(`${row.what}\n  floor  ${row.floor}\n  ours   ${row.ours}`);
  console.log(` ${ratio}  goal ${row.goal}: ${verdict}`);
  if (row.note !== undefined) console.log(`  note   ${row.note}`);
  console.log('');
}

export function atLeast(
  what: string,
  goal: number,
  result: Omit<Row, 'what' | 'goal' | 'isReached'>,
): Row {
  const isReached = result.ratio !== null && result.ratio >= goal;
  return { what, goal: `at least ${goal} x`, isReached, ...result };
}

export function atMost(
  what: string,
  goal: number,
  result: Omit<Row, 'what' | 'goal' | 'isReached'>,
): Row {
  const isReached = result.ratio !== null && result.ratio <= goal;
  return { what, goal: `at most ${goal} x`, isReached, ...result };
}

export function perSecond(count: number, seconds: number): string {
  return `${Math.round(count / seconds).toLocaleString('en')} a second`;
}

export function middle(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** Tells that something takes its time, and how long it took. */
export async function step<T>(
  what: string,
  work: () => Promise<T>,
): Promise<{ result: T; seconds: number }> {
  process.stderr.write(`  ${what} ...`);
  const started = performance.now();
  const result = await work();
  const seconds = (performance.now() - started) / 1000;
  process.stderr.write(` ${seconds.toFixed(1)} s\n`);
  return { result, seconds };
}
