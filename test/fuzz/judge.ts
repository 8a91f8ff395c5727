/** What an answer may never be, whatever was asked. */
import { checkAnswer } from '../support/answer-check.ts';
import type { FuzzRequest } from './requests.ts';
import { secretMark, secretPhone } from './values.ts';
import type { FuzzAnswer } from './wire.ts';
import { foreignMarks, type World } from './world.ts';

/** What nobody may wait longer for. */
const hangMs = 2_000;
/** They may take minutes, and say so. */
const patient = new Set(['moveTestClock', 'previewRule']);
/** Errors that have a form of their own. */
const otherForms = new Set(['viewLink', 'followLink', 'getReadiness']);

export async function faultsOf(
  request: FuzzRequest,
  answer: FuzzAnswer,
  world: World,
): Promise<string[]> {
  const { status, text, ms } = answer;
  const faults: string[] = [];
  if (request.isCutOff) return status >= 500 ? [`answers ${status}`] : [];
  if (status === 0) faults.push('gives no answer');
  if (status >= 500) faults.push(`answers ${status}`);
  if (ms > hangMs && !patient.has(request.operationId)) faults.push(`takes over ${hangMs} ms`);
  if (request.method === 'HEAD' && text !== '') faults.push('answers HEAD with a body');
  return [...faults, ...leaksIn(request, answer, world), ...(await formFaults(request, answer))];
}

function leaksIn(request: FuzzRequest, { status, text, headers }: FuzzAnswer, world: World) {
  const seen = text + JSON.stringify(headers);
  const isForeign = request.headers.authorization?.endsWith(world.keys.foreign) ?? false;
  const isOperator = request.headers.authorization?.endsWith(world.keys.operator) ?? false;
  const leaks = foreignMarks
    .filter((mark) => !isForeign && !isOperator && seen.includes(mark))
    .map((mark) => `shows the other clinic's ${mark}`);
  const isProblem = status >= 400 && (text.includes(secretMark) || text.includes(secretPhone));
  return isProblem ? [...leaks, 'repeats a patient in an error'] : leaks;
}

async function formFaults(request: FuzzRequest, answer: FuzzAnswer): Promise<string[]> {
  const { method, path, operationId } = request;
  const { status, headers, text } = answer;
  if (status === 0 || method === 'HEAD' || method === 'TRACE') return [];
  const type = String(headers['content-type'] ?? '');
  const isProblem = type.startsWith('application/problem+json');
  if (status >= 400 && !isProblem && !otherForms.has(operationId) && status !== 422) {
    return [`answers ${status} with ${type === '' ? 'no type' : type}`];
  }
  if (!/json/.test(type) || text === '' || (isProblem && otherForms.has(operationId))) return [];
  try {
    await checkAnswer(method, path, status, JSON.parse(text));
    return [];
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)];
  }
}
