import { AppError, type ErrorCode, errorCodes, type Fault, inputErrorCode } from '../errors.ts';

/** Why one item of a batch was not taken; the rest was. */
export interface Problem {
  title: string;
  status: number;
  code: string;
  detail: string;
  errors: Fault[];
}

export interface Rejection {
  index: number;
  /** The item's own id, where it has one. */
  id: string | null;
  problem: Problem;
}

export function validationProblem(faults: Fault[]): Problem {
  return problem(inputErrorCode(faults), faults[0]?.detail ?? errorCodes.validation.title, faults);
}

export function problem(code: ErrorCode, detail: string, errors: Fault[] = []): Problem {
  const { status, title } = errorCodes[code];
  return { title, status, code, detail, errors };
}

/** A problem with a code of its own, told as a 422. */
export function refusal(code: string, pointer: string, detail: string): Problem {
  const { status, title } = errorCodes.unprocessable;
  return { title, status, code, detail, errors: [{ pointer, code, detail }] };
}

/** For a request that carries one object only: its rejection is the answer. */
export function rejectionError(rejected: Problem): AppError {
  const code: ErrorCode =
    rejected.code in errorCodes ? (rejected.code as ErrorCode) : 'unprocessable';
  return new AppError(code, rejected.detail, { faults: rejected.errors });
}
