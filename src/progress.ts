/** Shows how far something is: a bar on a terminal, a line now and then elsewhere. */

export interface Progress {
  /** `done` of `total`, with a word about it. */
  report(done: number, total: number, note: string): void;
  /** Ends the bar with a last line. */
  finish(note: string): void;
}

export interface ProgressOutput {
  isTTY?: boolean;
  write(text: string): unknown;
}

const barWidth = 28;
/** Without a terminal a line for each quarter is enough. */
const lines = 4;

export function createProgress(what: string, output: ProgressOutput): Progress {
  let printed = 0;
  if (output.isTTY === true) {
    return {
      report: (done, total, note) =>
        void output.write(`\r\u001b[K  ${what} ${bar(done / total)} ${note}`),
      finish: (note) => void output.write(`\r\u001b[K  ${what}: ${note}\n`),
    };
  }
  return {
    report: (done, total, note) => {
      const reached = Math.floor((done / total) * lines);
      if (reached <= printed || done >= total) return;
      printed = reached;
      output.write(`  ${what} ${Math.round((done / total) * 100)} % ${note}\n`);
    },
    finish: (note) => void output.write(`  ${what}: ${note}\n`),
  };
}

function bar(share: number): string {
  const full = Math.round(Math.min(1, share) * barWidth);
  return `[${'█'.repeat(full)}${'░'.repeat(barWidth - full)}] ${String(Math.round(share * 100)).padStart(3)} %`;
}
