/**
 * A process that keeps one throwaway PostgreSQL for as long as somebody holds a connection to its
 * control socket. The kernel closes that connection when a test ends in any way, SIGKILL included,
 * so nothing is left behind.
 *
 * Protocol, one line each: the keeper greets with `{"url"}`; `crash` and `start` are answered with
 * `{}` or `{"error"}`.
 */
import { createServer, type Socket } from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { type Cluster, createCluster } from './postgres-cluster.ts';

export interface KeeperOptions {
  durable: boolean;
  /** How long to wait for the next holder after the last one left. */
  graceMs: number;
}

/** Sent to the parent once: where to connect, or why not. */
export type KeeperReport = { socketPath: string } | { error: string };

const firstHolderMs = 30_000;

async function keep({ durable, graceMs }: KeeperOptions): Promise<void> {
  const cluster = await createCluster({ durable });
  await startOrRemove(cluster);
  const socketPath = path.join(cluster.directory, 'control.sock');
  const holders = new Set<Socket>();

  const leave = (): void => {
    if (holders.size > 0) return;
    // Closing first makes a late comer find nobody, and start a keeper of its own.
    control.close();
    void cluster.remove().then(() => process.exit(0));
  };
  let leaving = setTimeout(leave, firstHolderMs);

  const control = createServer((holder) => {
    holders.add(holder);
    clearTimeout(leaving);
    // A holder that was killed resets its connection; 'close' follows and says all.
    holder.on('error', () => {});
    holder.on('close', () => {
      holders.delete(holder);
      clearTimeout(leaving);
      leaving = setTimeout(leave, graceMs);
    });
    holder.write(`${JSON.stringify({ url: cluster.url('postgres') })}\n`);
    createInterface({ input: holder }).on('line', (command) => {
      void obey(cluster, command).then((answer) => holder.write(`${JSON.stringify(answer)}\n`));
    });
  });
  control.listen(socketPath, () => report({ socketPath }));
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      holders.clear();
      leave();
    });
  }
}

async function startOrRemove(cluster: Cluster): Promise<void> {
  try {
    await cluster.start();
  } catch (error) {
    await cluster.remove();
    throw error;
  }
}

async function obey(cluster: Cluster, command: string): Promise<{ error?: string }> {
  try {
    if (command === 'crash') await cluster.crash();
    else if (command === 'start') await cluster.start();
    else return { error: `Unknown command: ${command}` };
    return {};
  } catch (error) {
    return { error: String(error) };
  }
}

function report(message: KeeperReport): void {
  process.send?.(message);
  process.disconnect?.();
}

keep(JSON.parse(process.argv[2] ?? '{}') as KeeperOptions).catch((error: unknown) => {
  report({ error: String(error) });
  process.exitCode = 1;
});
