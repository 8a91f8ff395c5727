import { hash } from 'node:crypto';
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import SMTPConnection from 'nodemailer/lib/smtp-connection';
import type { AdapterContext } from '../channel.ts';
import type { HttpPort, NotSentReason } from '../http.ts';
import type { ComposedMail } from './compose.ts';
import type { Account } from './config.ts';
import { isMistrust } from './mistrust.ts';

/**
 * Conversations with mail servers. Nodemailer's own pool sends a mail again when a connection breaks, and does
 * not tell how far it came; here each mail goes once, over a connection that may serve the next one.
 */

/** What went wrong, as far as the server or the network told; nothing of it names a person. */
export interface SmtpFault {
  /** Nodemailer's code, such as `EAUTH`, why there was no connection, or what is wrong with a certificate. */
  code: string;
  /** The server's reply, where one came. */
  reply: number | null;
  /** Its extended code, such as `5.1.1`. */
  extended: string | null;
  /** The command that it answered. */
  command: string;
  /** Whether the mail had gone out whole: without a reply it may have been taken. */
  isHandedOver: boolean;
}

export type Handed = { ok: true } | { ok: false; fault: SmtpFault };

interface Session {
  connection: SMTPConnection;
  socket: Socket;
  /** The monotonic clock's time of its last use. */
  usedAtMs: number;
}

const idlePerAccountMax = 5;
/** Servers end a silent conversation after a few minutes. */
const idleMsMax = 20_000;

/** Connections at rest, by the network they belong to and the account. */
const resting = new WeakMap<HttpPort, Map<string, Session[]>>();

/** Hands one mail over, in the time that the context leaves. */
export async function handOver(
  account: Account,
  mail: ComposedMail,
  context: AdapterContext,
): Promise<Handed> {
  const opened = await openSession(account, context);
  if (!opened.ok) return opened;
  const { session } = opened;
  const handed = await transmit(session.connection, mail, context);
  if (handed.ok) rest(account, session, context.http);
  else session.connection.close();
  return handed;
}

/** Whether the server is there and knows the account; sends nothing. */
export async function greet(account: Account, context: AdapterContext): Promise<Handed> {
  const opened = await openSession(account, context);
  if (!opened.ok) return opened;
  rest(account, opened.session, context.http);
  return { ok: true };
}

type Opened = { ok: true; session: Session } | { ok: false; fault: SmtpFault };

async function openSession(account: Account, context: AdapterContext): Promise<Opened> {
  if (context.signal.aborted) return { ok: false, fault: unreached('aborted') };
  const rested = takeRested(account, context.http);
  if (rested === undefined) return connectAnew(account, context);
  if (await isAlive(rested.connection, context)) return { ok: true, session: rested };
  rested.connection.close();
  return openSession(account, context);
}

function takeRested(account: Account, http: HttpPort): Session | undefined {
  const sessions = resting.get(http)?.get(keyOf(account));
  const session = sessions?.pop();
  if (session === undefined) return undefined;
  session.socket.ref();
  if (performance.now() - session.usedAtMs < idleMsMax) return session;
  session.connection.close();
  return takeRested(account, http);
}

function rest(account: Account, session: Session, http: HttpPort): void {
  const accounts = resting.get(http) ?? new Map<string, Session[]>();
  resting.set(http, accounts);
  const sessions = accounts.get(keyOf(account)) ?? [];
  accounts.set(keyOf(account), sessions);
  if (sessions.length >= idlePerAccountMax) {
    session.connection.quit();
    return;
  }
  session.usedAtMs = performance.now();
  // Nobody waits for it, neither does the end of the process.
  session.socket.unref();
  sessions.push(session);
  const timer = setTimeout(() => {
    const at = sessions.indexOf(session);
    if (at < 0 || performance.now() - session.usedAtMs < idleMsMax) return;
    sessions.splice(at, 1);
    session.connection.quit();
  }, idleMsMax + 1);
  timer.unref();
}

/** Another password is another account. */
function keyOf(account: Account): string {
  return hash('sha256', JSON.stringify(account));
}

function isAlive(connection: SMTPConnection, context: AdapterContext): Promise<boolean> {
  return within<boolean>(connection, context, (end) => {
    connection.reset((error) => end(!error));
    return () => false;
  });
}

async function connectAnew(account: Account, context: AdapterContext): Promise<Opened> {
  const { host, port, isSecure, login, mustEncrypt, ca } = account;
  const timeoutMs = leftMs(context);
  const reached = await context.http.connect({ host, port, signal: context.signal, timeoutMs });
  if (reached.kind !== 'connected') return { ok: false, fault: unreached(reached.reason) };
  const connection = new SMTPConnection({
    ...{ host, port, secure: isSecure, connection: reached.socket },
    // A password and a patient's mail do not cross the Internet in the open.
    requireTLS: !isSecure && (mustEncrypt || reached.isPublic),
    ...(ca !== null && { tls: { ca } }),
    ...{ connectionTimeout: timeoutMs, greetingTimeout: timeoutMs, socketTimeout: timeoutMs },
    socketCloseTimeout: 0,
    logger: false,
  });
  // What breaks while nobody waits for an answer shows with the next question.
  connection.on('error', () => {});
  const greeted = await within<Handed>(connection, context, (end) => {
    connection.connect((error) => {
      if (error) return end({ ok: false, fault: faultOf(error, false) });
      if (login === null) return end({ ok: true });
      connection.login({ user: login.user, pass: login.pass }, (refusal) =>
        end(refusal ? { ok: false, fault: faultOf(refusal, false) } : { ok: true }),
      );
    });
    return (error) => ({ ok: false, fault: faultOf(error, false) });
  });
  if (greeted.ok) return { ok: true, session: { connection, socket: reached.socket, usedAtMs: 0 } };
  connection.close();
  return greeted;
}

function transmit(
  connection: SMTPConnection,
  mail: ComposedMail,
  context: AdapterContext,
): Promise<Handed> {
  // The closing dot is written once the stream has ended; without it no server may keep the mail.
  let isHandedOver = false;
  const stream = Readable.from([mail.bytes]);
  stream.once('end', () => {
    isHandedOver = true;
  });
  return within<Handed>(connection, context, (end) => {
    const envelope = { ...mail.envelope, size: mail.bytes.length };
    connection.send(envelope, stream, (error) =>
      end(error ? { ok: false, fault: faultOf(error, isHandedOver) } : { ok: true }),
    );
    return (error) => ({ ok: false, fault: faultOf(error, isHandedOver) });
  });
}

/** Runs one step of a conversation, which ends with its answer, an error, the deadline or an abort. */
function within<T>(
  connection: SMTPConnection,
  context: AdapterContext,
  begin: (end: (answer: T) => void) => (error: Error) => T,
): Promise<T> {
  return new Promise((resolve) => {
    const end = (answer: T) => {
      clearTimeout(timer);
      connection.removeListener('error', onError);
      connection.removeListener('end', onEnd);
      context.signal.removeEventListener('abort', onAbort);
      resolve(answer);
    };
    let fail: (error: Error) => T;
    const onError = (error: Error) => end(fail(error));
    // Nodemailer may close first and tell why in the same breath.
    const onEnd = () => setImmediate(() => end(fail(coded('ECONNECTION'))));
    const onAbort = () => end(fail(coded('aborted')));
    const timer = setTimeout(() => end(fail(coded('ETIMEDOUT'))), leftMs(context));
    connection.on('error', onError);
    connection.once('end', onEnd);
    context.signal.addEventListener('abort', onAbort, { once: true });
    fail = begin(end);
  });
}

function leftMs({ deadline, now }: AdapterContext): number {
  return Math.max(1, Math.ceil(deadline.since(now()).total('milliseconds')));
}

function coded(code: string): Error {
  return Object.assign(new Error(code), { code });
}

function unreached(reason: NotSentReason): SmtpFault {
  return { code: reason, reply: null, extended: null, command: 'CONN', isHandedOver: false };
}

const extendedForm = /^\d{3}[ -](\d\.\d{1,3}\.\d{1,3})\b/;

function faultOf(error: Error, isHandedOver: boolean): SmtpFault {
  const told = error as Error & {
    code?: string;
    originalCode?: string;
    responseCode?: number;
    response?: string;
    command?: string;
  };
  return {
    code: isMistrust(told.originalCode) ? told.originalCode : (told.code ?? 'unknown'),
    reply: told.responseCode ?? null,
    extended: extendedForm.exec(told.response ?? '')?.[1] ?? null,
    command: told.command ?? '',
    isHandedOver,
  };
}
