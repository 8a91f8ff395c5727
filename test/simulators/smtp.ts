import { createServer, type Socket } from 'node:net';
import { createSecureContext, TLSSocket } from 'node:tls';
import { type Faults, seededRandom } from './control.ts';
import { readMail } from './smtp-mail.ts';

/** A mail server that keeps what it takes: as much of RFC 5321 as a client needs, with faults. */

export interface SmtpOptions {
  port?: number;
  seed?: number;
  /** Null: everybody may send. */
  login?: { user: string; pass: string } | null;
  /** Says so to each of these addresses, instead of taking it. */
  refuses?: Readonly<Record<string, string>>;
  /** PEM; `starttls` offers it, `start` speaks nothing else. */
  tls?: { key: string; cert: string; from: 'start' | 'starttls' };
}

export interface SmtpMail {
  from: string;
  to: string;
  clientRef: string;
  headers: Record<string, string>;
  text: string;
  html: string | null;
  isEncrypted: boolean;
}

export interface SmtpSimulator {
  host: string;
  port: number;
  mails(): readonly SmtpMail[];
  /** Connections that were opened. */
  connections(): number;
  /** Every line that came in the open. */
  overheard(): readonly string[];
  faults(faults: Faults): void;
  /** Replies with that to the command until told otherwise; null: as usual. */
  replyTo(command: SmtpCommand, reply: string | null): void;
  /** Ends every conversation at rest. */
  hangUp(): void;
  close(): Promise<void>;
}

export type SmtpCommand = 'CONNECT' | 'EHLO' | 'AUTH' | 'MAIL' | 'RCPT' | 'DATA' | 'END';

interface World {
  options: SmtpOptions;
  faults: Faults;
  random: () => number;
  replies: Map<SmtpCommand, string>;
  mails: SmtpMail[];
  overheard: string[];
}

export async function startSmtpSimulator(options: SmtpOptions = {}): Promise<SmtpSimulator> {
  const world: World = {
    options,
    faults: {},
    random: seededRandom(options.seed ?? 1),
    replies: new Map(),
    mails: [],
    overheard: [],
  };
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    // A client that cuts the connection is one of the cases.
    socket.on('error', () => {});
    if (options.tls?.from !== 'start') return converse(world, socket);
    return converse(world, encrypted(socket, options.tls));
  });
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve));
  const address = server.address();
  return {
    host: '127.0.0.1',
    port: typeof address === 'object' && address ? address.port : 0,
    mails: () => world.mails,
    connections: () => connections,
    overheard: () => world.overheard,
    faults: (asked) => {
      world.faults = asked;
    },
    replyTo: (command, reply) => {
      if (reply === null) world.replies.delete(command);
      else world.replies.set(command, reply);
    },
    hangUp: () => {
      for (const socket of sockets) socket.destroy();
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const endOfData = '\r\n.\r\n';

function encrypted(socket: Socket, { key, cert }: { key: string; cert: string }): TLSSocket {
  const secureContext = createSecureContext({ key, cert });
  const secured = new TLSSocket(socket, { isServer: true, secureContext });
  // A client that does not trust it leaves in the middle.
  secured.on('error', () => socket.destroy());
  return secured;
}

/** @param greeting null: the conversation goes on, over TLS now. */
function converse(world: World, socket: Socket, greeting: string | null = '220 sim ready'): void {
  const { tls } = world.options;
  const isEncrypted = socket instanceof TLSSocket;
  let received = '';
  let isData = false;
  let isKnown = world.options.login == null;
  let from = '';
  let to = '';
  const say = (text: string) => socket.write(`${text}\r\n`);
  const usual = (command: SmtpCommand, text: string) => say(world.replies.get(command) ?? text);

  const isRefused = (command: SmtpCommand) => world.replies.has(command);
  const onRecipient = (address: string) => {
    const refusal = world.options.refuses?.[address];
    if (refusal === undefined && !isRefused('RCPT')) to = address;
    usual('RCPT', refusal ?? '250 2.1.5 ok');
  };

  const onCommand = (line: string) => {
    const verb = line.split(/[ :]/, 1)[0]?.toUpperCase() ?? '';
    switch (verb) {
      case 'EHLO': {
        const offer = tls === undefined || isEncrypted ? '' : '250-STARTTLS\r\n';
        return usual('EHLO', `250-sim\r\n${offer}250-8BITMIME\r\n250-PIPELINING\r\n250 AUTH PLAIN`);
      }
      case 'STARTTLS':
        if (tls === undefined || isEncrypted) return say('502 5.5.1 no');
        say('220 2.0.0 go ahead');
        socket.removeAllListeners('data');
        return converse(world, encrypted(socket, tls), null);
      case 'AUTH':
        isKnown = isLogin(line, world.options.login ?? null);
        return usual('AUTH', isKnown ? '235 2.7.0 ok' : '535 5.7.8 no such user Anna');
      case 'MAIL':
        if (!isKnown) return say('530 5.7.0 who are you');
        from = isRefused('MAIL') ? '' : addressIn(line);
        to = '';
        return usual('MAIL', '250 2.1.0 ok');
      case 'RCPT':
        if (from === '') return say('503 5.5.1 who sends it');
        if (strikes(world, 'http429')) return say('451 4.7.1 too many');
        return onRecipient(addressIn(line));
      case 'DATA':
        if (strikes(world, 'dropBeforeAccept')) return socket.destroy();
        if (to === '') return say('503 5.5.1 to whom');
        isData = !isRefused('DATA');
        return usual('DATA', '354 go on');
      case 'RSET':
      case 'NOOP':
        return say('250 2.0.0 ok');
      case 'QUIT':
        say('221 2.0.0 bye');
        return socket.end();
      default:
        return say('502 5.5.2 what');
    }
  };

  const onMail = (raw: string) => {
    if (strikes(world, 'http5xx')) return say('554 5.6.0 no');
    const refusal = world.replies.get('END');
    if (refusal !== undefined) return say(refusal);
    const take = () => {
      world.mails.push({ from, to, isEncrypted, ...readMail(raw) });
      if (strikes(world, 'acceptThenDropReply')) return socket.destroy();
      return say(strikes(world, 'garbageBody') ? 'hm?' : '250 2.0.0 queued as 17');
    };
    const waitMs = latencyOf(world);
    if (waitMs > 0) setTimeout(take, waitMs).unref();
    else take();
  };

  socket.on('data', (chunk) => {
    received += chunk.toString('latin1');
    if (!isEncrypted) world.overheard.push(...chunk.toString('latin1').split('\r\n'));
    for (;;) {
      const end = isData ? endOfData : '\r\n';
      const at = isData && received.startsWith('.\r\n') ? 0 : received.indexOf(end);
      if (at < 0) return;
      const piece = received.slice(0, at);
      received = received.slice(at + end.length);
      if (isData) {
        isData = false;
        onMail(piece);
      } else onCommand(piece);
    }
  });
  if (greeting !== null) usual('CONNECT', greeting);
}

/** A share, or true for always. */
function strikes(
  { faults, random }: World,
  fault:
    | 'http429'
    | 'http5xx'
    | 'dropBeforeAccept'
    | 'acceptThenDropReply'
    | 'garbageBody'
    | 'late',
): boolean {
  const share = Number(faults[fault] ?? 0);
  return share > 0 && random() < share;
}

function latencyOf(world: World): number {
  const { faults, random } = world;
  if (strikes(world, 'late')) return faults.lateMs ?? 0;
  const { latencyMs = 0 } = faults;
  return typeof latencyMs === 'number'
    ? latencyMs
    : latencyMs[0] + random() * (latencyMs[1] - latencyMs[0]);
}

function addressIn(line: string): string {
  return /<([^>]*)>/.exec(line)?.[1] ?? '';
}

function isLogin(line: string, login: SmtpOptions['login']): boolean {
  const [, , encoded = ''] = line.split(' ');
  const [, user, pass] = Buffer.from(encoded, 'base64').toString('utf8').split('\0');
  return login != null && user === login.user && pass === login.pass;
}
