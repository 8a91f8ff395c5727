/** One run: a service of its own on a database of its own, and a number of requests that follow from a seed. */
import fc, { type Arbitrary } from 'fast-check';
import { openApiDocument } from '../../src/api/openapi-document.ts';
import { type ServiceProcess, startService } from '../support/service-process.ts';
import { faultsOf } from './judge.ts';
import { type Document, type FuzzRequest, requestsOf } from './requests.ts';
import { secretMark, secretPhone } from './values.ts';
import { createWire } from './wire.ts';
import { buildWorld, foreignMarks, type World } from './world.ts';

export interface FuzzOptions {
  databaseUrl: string;
  requests: number;
  seed: number;
  report?: (done: number, all: number, note: string) => void;
}

/** One of each kind of fault, with how often it was seen. */
export interface Finding {
  fault: string;
  /** Null for what is wrong with the process as a whole. */
  request: FuzzRequest | null;
  status: number;
  text: string;
  count: number;
}

export interface FuzzResult {
  findings: Finding[];
  /** How many answers of each hundred: that the requests get anywhere. */
  answers: Record<string, number>;
  /** Operations that never answered with success. */
  neverDone: string[];
}

const atOnce = 6;
const sampledAtOnce = 100;
/** Requests wear their clinics out. */
const requestsPerWorld = 500;

export async function fuzz(options: FuzzOptions): Promise<FuzzResult> {
  const service = await startService(options.databaseUrl, { RETORNO_LOG_LEVEL: 'trace' });
  const notes = createNotes();
  const wire = createWire(service.url, atOnce);
  try {
    const document = (await openApiDocument()) as Document;
    for (let sent = 0; sent < options.requests; sent += requestsPerWorld) {
      const world = await buildWorld(service.url);
      const arbitrary = requestsOf(document, world);
      const here = Math.min(requestsPerWorld, options.requests - sent);
      for (const queue of samples(arbitrary, here, options.seed + sent)) {
        await Promise.all(Array.from({ length: atOnce }, () => drain(queue, world, wire, notes)));
        options.report?.(sent, options.requests, 'requests');
      }
    }
    await judgeProcess(service, notes);
    return notes.result();
  } finally {
    wire.close();
    service.child.kill('SIGKILL');
  }
}

function* samples(arbitrary: Arbitrary<FuzzRequest>, count: number, seed: number) {
  for (let made = 0; made < count; made += sampledAtOnce) {
    yield fc.sample(arbitrary, {
      numRuns: Math.min(sampledAtOnce, count - made),
      seed: seed + made,
    });
  }
}

async function drain(
  queue: FuzzRequest[],
  world: World,
  wire: ReturnType<typeof createWire>,
  notes: Notes,
): Promise<void> {
  for (let request = queue.pop(); request; request = queue.pop()) {
    const answer = await wire.send(request);
    notes.count(request, answer.status);
    for (const fault of await faultsOf(request, answer, world)) {
      notes.add(fault, request, answer);
    }
  }
}

/** Its log, its figures and its end. */
async function judgeProcess(service: ServiceProcess, notes: Notes): Promise<void> {
  const metrics = await fetch(`${service.url}/metrics`).then(
    (answer) => answer.text(),
    () => '',
  );
  const { code, signal } = await service.end('SIGTERM');
  if (code !== 0) notes.add(`ends with ${code ?? signal}`);
  const lines = service.output().split('\n');
  for (const mark of [secretMark, secretPhone, ...foreignMarks]) {
    if (metrics.includes(mark)) notes.add(`shows ${mark} in its metrics`);
    const line = lines.find((each) => each.includes(mark));
    if (line !== undefined) notes.add(`logs ${mark}: ${line}`);
  }
  for (const line of lines) {
    if (/"level":"(error|fatal)"/.test(line)) {
      notes.add(`logs an error: ${line.replaceAll(/"(time|requestId)":"[^"]*",?/g, '')}`);
    }
  }
}

type Notes = ReturnType<typeof createNotes>;

function createNotes() {
  const findings = new Map<string, Finding>();
  const answers: Record<string, number> = {};
  const done = new Map<string, boolean>();
  return {
    add: (
      fault: string,
      request: FuzzRequest | null = null,
      { status, text } = { status: 0, text: '' },
    ) => {
      const key = `${request?.operationId} ${fault.replaceAll(/\d{3,}/g, 'n')}`;
      const known = findings.get(key);
      if (known) known.count += 1;
      else findings.set(key, { fault, request, status, text, count: 1 });
    },
    count: ({ operationId, kind }: FuzzRequest, status: number) => {
      const hundred = Math.floor(status / 100);
      const name = `${kind} ${hundred}xx`;
      answers[name] = (answers[name] ?? 0) + 1;
      done.set(operationId, done.get(operationId) === true || hundred === 2);
    },
    result: (): FuzzResult => ({
      findings: [...findings.values()],
      answers,
      neverDone: [...done].filter(([, isDone]) => !isDone).map(([name]) => name),
    }),
  };
}
