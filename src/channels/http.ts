/** What adapters may ask of the network. */

export interface HttpRequest {
  method: 'GET' | 'POST';
  url: string;
  headers?: Readonly<Record<string, string>>;
  body?: string | Buffer;
  signal: AbortSignal;
  timeoutMs: number;
}

/**
 * `not-sent`: no byte of the request left, it may be sent again. `ambiguous`: it may have been taken.
 */
export type HttpResult =
  | { kind: 'answered'; status: number; headers: Readonly<Record<string, string>>; body: Buffer }
  | { kind: 'not-sent'; reason: string }
  | { kind: 'ambiguous'; reason: string };

export interface HttpPort {
  request(request: HttpRequest): Promise<HttpResult>;
}
