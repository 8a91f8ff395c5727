/** What orders the updates of one object: when the host noted them, then their version, then arrival. */
export interface Watermark {
  occurredMs: number;
  version: string | null;
}

/** Negative where `a` is older. Equal marks are ordered by arrival, which the caller knows. */
export function compareWatermarks(a: Watermark, b: Watermark): number {
  return a.occurredMs - b.occurredMs || compareVersions(a.version, b.version);
}

function compareVersions(a: string | null, b: string | null): number {
  if (a === b) return 0;
  if (a === null) return -1;
  if (b === null) return 1;
  if (isNumeric(a) && isNumeric(b)) return compareDigits(a, b);
  return a < b ? -1 : 1;
}

const isNumeric = (version: string) => /^\d+$/.test(version);

/** Versions may have more digits than a number holds. */
function compareDigits(a: string, b: string): number {
  const [left, right] = [a.replace(/^0+(?=\d)/, ''), b.replace(/^0+(?=\d)/, '')];
  if (left.length !== right.length) return left.length - right.length;
  if (left === right) return 0;
  return left < right ? -1 : 1;
}
