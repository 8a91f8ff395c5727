import type { Fault } from '../errors.ts';
import type { Caller } from '../history/key.ts';
import type { ReadEvent } from './event.ts';
import { readEvent } from './event.ts';
import {
  commitEvents,
  count,
  type IntakeAnswer,
  type IntakeDeps,
  idOf,
  readContext,
} from './record-events.ts';
import { type Problem, problem, validationProblem } from './rejection.ts';

/** A stream of events, one a line, of any length: held in memory are two batches and a line. */

export const linesPerCommit = 1_000;
export const lineBytesMax = 256 * 1024;
const rejectionsListedMax = 1_000;
const batchesInFlightMax = 2;

export interface NdjsonAnswer extends IntakeAnswer {
  /** All of them; `rejected` lists the first thousand. */
  rejectedCount: number;
}

/** Commits every thousand lines; what was committed before a stream breaks stays. */
export async function recordNdjson(
  deps: IntakeDeps,
  caller: Caller,
  chunks: AsyncIterable<Uint8Array>,
): Promise<NdjsonAnswer> {
  const answer: NdjsonAnswer = {
    accepted: 0,
    duplicates: 0,
    stale: 0,
    rejected: [],
    rejectedCount: 0,
  };
  const inFlight: Promise<IntakeAnswer>[] = [];
  const settleOne = async () => {
    const settled = await inFlight.shift();
    if (settled !== undefined) addAnswer(answer, settled);
  };
  try {
    for await (const lines of batches(chunks)) {
      inFlight.push(recordLines(deps, caller, lines));
      if (inFlight.length >= batchesInFlightMax) await settleOne();
    }
    while (inFlight.length > 0) await settleOne();
  } finally {
    // After a failure the other batch still ends, and nobody else waits for it.
    await Promise.allSettled(inFlight);
  }
  return answer;
}

function addAnswer(answer: NdjsonAnswer, batch: IntakeAnswer): void {
  answer.accepted += batch.accepted;
  answer.duplicates += batch.duplicates;
  answer.stale += batch.stale;
  answer.rejectedCount += batch.rejected.length;
  answer.rejected.push(...batch.rejected.slice(0, rejectionsListedMax - answer.rejected.length));
}

async function recordLines(
  deps: IntakeDeps,
  caller: Caller,
  lines: readonly Line[],
): Promise<IntakeAnswer> {
  const context = readContext(deps, caller);
  const answer: IntakeAnswer = { accepted: 0, duplicates: 0, stale: 0, rejected: [] };
  const events: ReadEvent[] = [];
  const indexes: number[] = [];
  for (const line of lines) {
    const value = readLine(line);
    const reading = 'problem' in value ? value : readEvent(value.json, context);
    if ('event' in reading) {
      events.push(reading.event);
      indexes.push(line.index);
      continue;
    }
    const why = 'problem' in reading ? reading.problem : validationProblem(reading.faults);
    answer.rejected.push({
      index: line.index,
      id: 'json' in value ? idOf(value.json) : null,
      problem: why,
    });
  }
  const outcomes = await commitEvents(deps, caller, events);
  for (const [at, outcome] of outcomes.entries()) {
    count(answer, outcome, indexes[at] ?? at, events[at]?.id ?? null);
  }
  answer.rejected.sort((a, b) => a.index - b.index);
  return answer;
}

/** A line without its end; null where it is over the limit. */
interface Line {
  /** Among the lines that are not blank. */
  index: number;
  bytes: Uint8Array | null;
}

const decoder = new TextDecoder('utf-8', { fatal: true });

function readLine({ bytes }: Line): { json: unknown } | { problem: Problem } {
  if (bytes === null) {
    return { problem: problem('too-large', `A line may have ${lineBytesMax} bytes.`) };
  }
  try {
    return { json: JSON.parse(decoder.decode(bytes)) };
  } catch {
    // Neither decoder nor parser knows a gentler way; what they say may quote a patient.
    const fault: Fault = {
      pointer: '',
      code: 'not-json',
      detail: 'This line is no JSON in UTF-8.',
    };
    return { problem: validationProblem([fault]) };
  }
}

async function* batches(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Line[]> {
  let batch: Line[] = [];
  let index = 0;
  for await (const bytes of splitLines(chunks)) {
    if (bytes !== null && isBlank(bytes)) continue;
    batch.push({ index, bytes });
    index += 1;
    if (batch.length < linesPerCommit) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

const newline = 0x0a;
const blanks = new Set([0x20, 0x09, 0x0d]);

function isBlank(bytes: Uint8Array): boolean {
  for (const byte of bytes) if (!blanks.has(byte)) return false;
  return true;
}

/** Of a line over the limit nothing is kept but that it was there. */
async function* splitLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array | null> {
  let parts: Uint8Array[] = [];
  let length = 0;
  const take = (): Uint8Array | null => {
    const line =
      length > lineBytesMax
        ? null
        : parts.length === 1 && parts[0]
          ? parts[0]
          : Buffer.concat(parts);
    parts = [];
    length = 0;
    return line;
  };
  const add = (part: Uint8Array) => {
    length += part.length;
    if (length > lineBytesMax) parts = [];
    else if (part.length > 0) parts.push(part);
  };
  for await (const chunk of chunks) {
    let from = 0;
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, from)) {
      add(chunk.subarray(from, end));
      yield take();
      from = end + 1;
    }
    add(chunk.subarray(from));
  }
  if (length > 0) yield take();
}
