import type { Trx } from '../database/connect.ts';
import { earlier } from '../local-time.ts';
import type { EffectiveChannel } from './channel-store.ts';
import type { Verdict } from './guard.ts';
import type { GuardFacts } from './guard-store.ts';
import { aheadMs, findRecentCalls } from './rate-store.ts';

/**
 * Holds what would reach a recipient sooner after another message than the provider takes. The addresses are
 * locked until the intent is committed, so that all replicas together keep the rate.
 */
export async function holdOverRate(
  trx: Trx,
  clinicId: string,
  channel: EffectiveChannel | null,
  goers: readonly GuardFacts[],
  verdicts: Map<string, Verdict>,
  now: Temporal.Instant,
): Promise<void> {
  const rate = channel === null ? undefined : recipientRate(channel);
  if (channel === null || rate === undefined) return;
  // The call leaves so much later at most than its intent was committed.
  const apart = { milliseconds: rate.perMs + aheadMs(channel) };
  const addresses = goers.flatMap(({ address }) => address ?? []);
  const calls = await findRecentCalls(
    trx,
    clinicId,
    { channel: channel.channel, addresses: [...new Set(addresses)] },
    now.subtract(apart),
  );
  for (const facts of remindersFirst(goers)) {
    if (facts.address === null) continue;
    const recent = calls.get(facts.address) ?? [];
    const last = recent[rate.points - 1];
    if (last === undefined) calls.set(facts.address, [now, ...recent]);
    else {
      const until = earlier(last.add(apart), facts.expiresAt);
      verdicts.set(facts.id, { state: 'held', reason: 'frequency-cap', until });
    }
  }
}

function recipientRate({ adapter, config }: EffectiveChannel) {
  if (adapter.isLocal) return undefined;
  return adapter.capabilities(config).rate?.find(({ scope }) => scope === 'recipient');
}

function remindersFirst(goers: readonly GuardFacts[]): GuardFacts[] {
  const isReminder = ({ purpose }: GuardFacts) => purpose === 'transactional';
  return [...goers].sort((one, other) => Number(isReminder(other)) - Number(isReminder(one)));
}
