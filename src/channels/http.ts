import { lookup } from 'node:dns';
import { connect, isIP, type LookupFunction, type Socket } from 'node:net';
import { buildConnector, type Dispatcher, Pool } from 'undici';
import { isPublicAddress } from './public-address.ts';

/**
 * The one way to the network. It answers instead of throwing, and it tells what no HTTP client tells:
 * whether a byte of the request may have left. It follows no redirect and repeats nothing.
 */

export interface HttpRequest {
  method: 'GET' | 'POST';
  url: string;
  headers?: Readonly<Record<string, string>>;
  body?: string | Buffer;
  signal: AbortSignal;
  /** For the whole exchange, connecting included. */
  timeoutMs: number;
  /** The longest answer that is read, where less is enough than of any other. */
  answerBytesMax?: number;
}

export type NotSentReason =
  | 'malformed'
  | 'private-address'
  | 'dns'
  | 'refused'
  | 'tls'
  | 'connect'
  | 'timeout'
  | 'aborted';

export type AmbiguousReason = 'timeout' | 'aborted' | 'too-large' | 'connection-lost';

/**
 * `not-sent`: no byte of the request left, it may be sent again. `ambiguous`: it may have been taken.
 */
export type HttpResult =
  | { kind: 'answered'; status: number; headers: Readonly<Record<string, string>>; body: Buffer }
  | { kind: 'not-sent'; reason: NotSentReason }
  | { kind: 'ambiguous'; reason: AmbiguousReason };

export interface HttpPort {
  request(request: HttpRequest): Promise<HttpResult>;
  /** For what is not HTTP: a plain socket, under the same rule about addresses. */
  connect(target: SocketTarget): Promise<SocketResult>;
}

export interface SocketTarget {
  host: string;
  port: number;
  signal: AbortSignal;
  timeoutMs: number;
}

export type SocketResult =
  | { kind: 'connected'; socket: Socket; isPublic: boolean }
  | { kind: 'not-sent'; reason: NotSentReason };

export interface HttpClient extends HttpPort {
  /** Whether this address can be called at all, as far as can be told without asking a name server. */
  mayCall(url: string): boolean;
  close(): Promise<void>;
}

export interface HttpClientOptions {
  /** False: only https to public addresses on the usual ports. */
  allowPrivate: boolean;
  connectionsPerOrigin?: number;
  connectTimeoutMs?: number;
  bodyBytesMax?: number;
}

const connectionsPerOriginDefault = 64;
const connectTimeoutMsDefault = 5_000;
const bodyBytesMaxDefault = 1_048_576;
const originsMax = 200;
const publicPorts: readonly string[] = ['', '443', '8443'];

export function httpClient(options: HttpClientOptions): HttpClient {
  const pools = new Map<string, Pool>();
  const bodyBytesMax = options.bodyBytesMax ?? bodyBytesMaxDefault;

  const poolOf = (origin: string): Pool => {
    const pool = pools.get(origin) ?? newPool(origin, options);
    // Taken out and put back, so that the first of the map is the one unused for longest.
    pools.delete(origin);
    pools.set(origin, pool);
    if (pools.size > originsMax) retireOldest(pools);
    return pool;
  };

  return {
    request: async (request) => {
      const url = URL.parse(request.url);
      if (!url || !isUsable(url)) return { kind: 'not-sent', reason: 'malformed' };
      if (!options.allowPrivate && !isPublicUrl(url)) {
        return { kind: 'not-sent', reason: 'private-address' };
      }
      return exchange(poolOf(url.origin), url, request, request.answerBytesMax ?? bodyBytesMax);
    },
    connect: (target) => openSocket(target, options.allowPrivate),
    mayCall: (text) => {
      const url = URL.parse(text);
      return url !== null && isUsable(url) && (options.allowPrivate || isPublicUrl(url));
    },
    close: async () => {
      await Promise.all([...pools.values()].map((pool) => pool.close()));
      pools.clear();
    },
  };
}

function isUsable(url: URL): boolean {
  const isWeb = url.protocol === 'https:' || url.protocol === 'http:';
  return isWeb && url.username === '' && url.password === '';
}

/** `URL` has already turned every spelling of an IP literal (octal, hex, one number) into the plain one. */
function isPublicUrl(url: URL): boolean {
  if (url.protocol !== 'https:' || !publicPorts.includes(url.port)) return false;
  const host = url.hostname.replace(/^\[|\]$/g, '');
  return isIP(host) === 0 || isPublicAddress(host);
}

function retireOldest(pools: Map<string, Pool>): void {
  const oldest = pools.entries().next().value;
  if (!oldest) return;
  pools.delete(oldest[0]);
  // Calls in flight end first; nobody waits for that, and a pool that fails to close is gone anyway.
  oldest[1].close().catch(() => {});
}

class PrivateAddressError extends Error {
  readonly code = 'PRIVATE_ADDRESS';
}

function newPool(origin: string, options: HttpClientOptions): Pool {
  const connector = buildConnector({
    timeout: options.connectTimeoutMs ?? connectTimeoutMsDefault,
    allowH2: false,
    ...(options.allowPrivate ? {} : { lookup: publicLookup }),
  });
  return new Pool(origin, {
    connections: options.connectionsPerOrigin ?? connectionsPerOriginDefault,
    pipelining: 1,
    allowH2: false,
    // The whole exchange has one timeout of its own.
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: options.allowPrivate ? connector : onlyPublic(connector),
  });
}

/** The name server is not trusted alone: what counts is where the socket really ended. */
export function onlyPublic(connector: buildConnector.connector): buildConnector.connector {
  return (target, callback) =>
    connector(target, (...result) => {
      const [error, socket] = result;
      if (error !== null) return callback(error, null);
      if (isPublicAddress(socket.remoteAddress ?? '')) return callback(null, socket);
      socket.destroy();
      return callback(new PrivateAddressError('The address is not public.'), null);
    });
}

const publicLookup: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, { ...options, all: true }, (error, addresses) => {
    if (error) return callback(error, []);
    if (!addresses.every(({ address }) => isPublicAddress(address))) {
      return callback(new PrivateAddressError('The address is not public.'), []);
    }
    const [first] = addresses;
    if (options.all || !first) return callback(null, addresses);
    return callback(null, first.address, first.family);
  });
};

/** Ports on which mail servers take mail; another one at a public address may be anything. */
const mailPorts: readonly number[] = [25, 465, 587, 2525];

function openSocket(target: SocketTarget, allowPrivate: boolean): Promise<SocketResult> {
  const { host, port, signal, timeoutMs } = target;
  const isRefused = isIP(host) !== 0 && !isPublicAddress(host);
  if (!allowPrivate && (isRefused || !mailPorts.includes(port))) {
    return Promise.resolve({ kind: 'not-sent', reason: 'private-address' });
  }
  if (signal.aborted) return Promise.resolve({ kind: 'not-sent', reason: 'aborted' });
  return new Promise((resolve) => {
    const socket = connect({ host, port, ...(allowPrivate ? {} : { lookup: publicLookup }) });
    const end = (result: SocketResult) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      socket.removeListener('error', onError);
      if (result.kind !== 'connected') socket.on('error', () => {}).destroy();
      resolve(result);
    };
    const giveUp = (reason: NotSentReason) => end({ kind: 'not-sent', reason });
    const onAbort = () => giveUp('aborted');
    const onError = (error: Error) => giveUp(connectFailure(error));
    const timer = setTimeout(() => giveUp('timeout'), timeoutMs);
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('error', onError);
    socket.once('connect', () => {
      // As above: what counts is where the socket really ended.
      const isPublic = isPublicAddress(socket.remoteAddress ?? '');
      if (!allowPrivate && !isPublic) giveUp('private-address');
      else end({ kind: 'connected', socket, isPublic });
    });
  });
}

function exchange(
  pool: Pool,
  url: URL,
  request: HttpRequest,
  bodyBytesMax: number,
): Promise<HttpResult> {
  return new Promise((resolve) => {
    // Set where undici is about to write the first byte: from there on nothing is certain.
    let started: Dispatcher.DispatchController | undefined;
    let ended: HttpResult | undefined;

    const end = (result: HttpResult) => {
      if (ended) return;
      ended = result;
      clearTimeout(timer);
      request.signal.removeEventListener('abort', onAbort);
      resolve(result);
    };
    const giveUp = (reason: 'timeout' | 'aborted' | 'too-large') => {
      if (reason === 'too-large' || started) end({ kind: 'ambiguous', reason });
      else end({ kind: 'not-sent', reason });
      started?.abort(new Error(reason));
    };
    const onAbort = () => giveUp('aborted');
    const timer = setTimeout(() => giveUp('timeout'), request.timeoutMs);
    request.signal.addEventListener('abort', onAbort, { once: true });
    if (request.signal.aborted) return onAbort();

    let status = 0;
    let headers: Record<string, string> = {};
    let bytes = 0;
    const chunks: Buffer[] = [];
    const handler: Dispatcher.DispatchHandler = {
      onRequestStart: (controller) => {
        // Given up while it waited for a connection: aborted here, nothing is written.
        if (ended) controller.abort(new Error('given up'));
        else started = controller;
      },
      onResponseStart: (_controller, statusCode, received) => {
        status = statusCode;
        headers = plainHeaders(received);
      },
      onResponseData: (_controller, chunk) => {
        bytes += chunk.length;
        if (bytes > bodyBytesMax) giveUp('too-large');
        else chunks.push(chunk);
      },
      onResponseEnd: () => end({ kind: 'answered', status, headers, body: Buffer.concat(chunks) }),
      onResponseError: (_controller, error) => {
        if (started) end({ kind: 'ambiguous', reason: 'connection-lost' });
        else end({ kind: 'not-sent', reason: connectFailure(error) });
      },
    };
    pool.dispatch(
      {
        path: url.pathname + url.search,
        method: request.method,
        headers: request.headers ?? {},
        body: request.body ?? null,
      },
      handler,
    );
  });
}

function plainHeaders(received: Record<string, string | string[] | undefined>) {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(received)) {
    if (value !== undefined) headers[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  return headers;
}

const reasonByCode: Readonly<Record<string, NotSentReason>> = {
  PRIVATE_ADDRESS: 'private-address',
  ENOTFOUND: 'dns',
  EAI_AGAIN: 'dns',
  EAI_FAIL: 'dns',
  ENODATA: 'dns',
  ECONNREFUSED: 'refused',
  UND_ERR_CONNECT_TIMEOUT: 'timeout',
  UND_ERR_INVALID_ARG: 'malformed',
  EPROTO: 'tls',
};
const tlsCode = /^(ERR_TLS|ERR_SSL|CERT_|UNABLE_TO_|DEPTH_ZERO|SELF_SIGNED)/;

function connectFailure(error: Error): NotSentReason {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return reasonByCode[code] ?? (tlsCode.test(code) ? 'tls' : 'connect');
}
