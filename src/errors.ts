/**
 * Errors that callers may rely on: the `code` is stable, the text is not. The API turns them into
 * RFC 9457 problem+json; everything else becomes a 500 that says nothing of its cause.
 */

/** Every stable code with its HTTP status and its title. `docs/errors.md` lists the same. */
export const errorCodes = Object.freeze({
  validation: { status: 400, title: 'The request does not fit its schema' },
  unauthorized: { status: 401, title: 'A valid key is needed' },
  forbidden: { status: 403, title: 'The key lacks the scope for this' },
  'not-found': { status: 404, title: 'No such thing here' },
  'method-not-allowed': { status: 405, title: 'This path does not take that method' },
  conflict: { status: 409, title: 'The thing is in a state that does not allow this' },
  'idempotency-in-flight': {
    status: 409,
    title: 'The first request with this key is still running',
  },
  'too-large': { status: 413, title: 'The body is over the limit' },
  'unsupported-media-type': { status: 415, title: 'This content type is not taken here' },
  unprocessable: { status: 422, title: 'The request is well-formed but cannot be done' },
  'idempotency-mismatch': { status: 422, title: 'This Idempotency-Key was used with another body' },
  'rate-limited': { status: 429, title: 'Too many requests' },
  internal: { status: 500, title: 'Something broke here' },
  unavailable: { status: 503, title: 'The service cannot take this now' },
} as const);

export type ErrorCode = keyof typeof errorCodes;

/** One fault in the input: a JSON Pointer to the field, a stable code, and a sentence. */
export interface Fault {
  /** JSON Pointer into the body, such as `/birthDate`; a query or path field is named the same way. */
  pointer: string;
  code: string;
  detail: string;
}

export class AppError extends Error {
  readonly code: ErrorCode;
  readonly faults: readonly Fault[];
  /** For `unavailable` and `rate-limited`: when to try again. */
  readonly retryAfterSeconds: number | undefined;

  constructor(
    code: ErrorCode,
    detail: string,
    options: { faults?: readonly Fault[]; retryAfterSeconds?: number; cause?: unknown } = {},
  ) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'AppError';
    this.code = code;
    this.faults = options.faults ?? [];
    this.retryAfterSeconds = options.retryAfterSeconds;
  }

  get status(): number {
    return errorCodes[this.code].status;
  }
}

/** A 400 that points at one field. */
export function invalid(pointer: string, code: string, detail: string): AppError {
  return new AppError('validation', detail, { faults: [{ pointer, code, detail }] });
}

/** Limits of ours that a fault may name; `too-large` is also that of a body. */
const limitFaults = new Set(['too-deep', 'too-many-values', 'too-large', 'over-limit']);

/** What faults in an input are: a 422 where each is a limit of ours that was passed, else a 400. */
export function inputErrorCode(faults: readonly Fault[]): 'validation' | 'unprocessable' {
  const isOverLimit = faults.length > 0 && faults.every(({ code }) => limitFaults.has(code));
  return isOverLimit ? 'unprocessable' : 'validation';
}

/** The same answer for what does not exist and for what belongs to another clinic. */
export function notFound(noun: string): AppError {
  return new AppError('not-found', `There is no such ${noun}.`);
}
