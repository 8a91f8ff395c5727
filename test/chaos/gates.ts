import type { SweptPoint } from './fault-points.ts';
import { type ProviderName, providerNames, type Verdict } from './judge.ts';
import type { ChaosResult } from './kills.ts';

/** What a run must show. */
export interface Gate {
  gate: string;
  figure: string;
  goal: string;
  isReached: boolean;
}

/** A run in which most kills found nothing to interrupt would prove little. */
const struckShareMin = 0.5;

export function gatesOfKills(
  { verdicts, kills, struck, interrupted }: ChaosResult,
  wanted: { kills: number },
): Gate[] {
  return [
    {
      gate: 'Kills; of them during work',
      figure: `${kills}; ${struck}, ${interrupted} sends interrupted`,
      goal: `${wanted.kills}; half`,
      isReached: kills >= wanted.kills && struck >= kills * struckShareMin,
    },
    ...providerNames.flatMap((provider) => gatesOfProvider(provider, verdicts[provider])),
  ];
}

export function gatesOfControl({ verdicts }: ChaosResult): Gate[] {
  return providerNames.map((provider) => gateOfControl(provider, verdicts[provider]));
}

const kinds: Readonly<Record<ProviderName, string>> = {
  smsc: 'SMSC.ru (can be asked)',
  sendgrid: 'SendGrid (calls back)',
  webhook: 'Webhook (deduplicates)',
  smtp: 'SMTP (tells nothing)',
};

function gatesOfProvider(provider: ProviderName, verdict: Verdict): Gate[] {
  const { messages, twice, repeated, falselySent, falselyUnsent, stuck, dropped, strangers } =
    verdict;
  const { unknown, unknownTaken } = verdict;
  const lost = falselySent.length + falselyUnsent.length + stuck.length + dropped.length;
  return [
    {
      gate: `${kinds[provider]}: twice; lost; strange`,
      figure: `${twice.length} (${repeated} where the rule allows it); ${lost}; ${strangers} of ${messages}`,
      goal: '0; 0; 0',
      isReached: twice.length + lost + strangers === 0 && messages > 0,
    },
    {
      gate: `${kinds[provider]}: unknown, shown and closed`,
      figure: `${unknown.length}, of them taken ${unknownTaken}`,
      goal: unknownGoals[provider],
      isReached: unresolved(provider, verdict) === 0,
    },
  ];
}

const unknownGoals: Readonly<Record<ProviderName, string>> = {
  smsc: '0',
  sendgrid: 'taken 0',
  webhook: '0',
  smtp: 'all shown',
};

/** Closed as unknown though the truth could be had. */
function unresolved(provider: ProviderName, { unknown, unknownTaken }: Verdict): number {
  switch (provider) {
    case 'smsc':
    case 'webhook':
      return unknown.length;
    case 'sendgrid':
      return unknownTaken;
    case 'smtp':
      return 0;
  }
}

function gateOfControl(provider: ProviderName, { twice, messages }: Verdict): Gate {
  return {
    gate: `${kinds[provider]}, control: claim, send, mark`,
    figure: `${twice.length} of ${messages} sent twice`,
    goal: '> 0',
    isReached: twice.length > 0,
  };
}

export function gatesOfSweep(swept: readonly SweptPoint[]): Gate[] {
  const missed = swept.filter(({ isReached }) => !isReached);
  const broken = swept.filter(({ provider, verdict }) => faultsOf(provider, verdict) > 0);
  return [
    {
      gate: 'Fault points at which a process died',
      figure: `${swept.length - missed.length} of ${swept.length}${namesOf(missed)}`,
      goal: 'all',
      isReached: missed.length === 0,
    },
    {
      gate: 'Fault points with a message twice or lost',
      figure: `${broken.length}${namesOf(broken)}`,
      goal: '0',
      isReached: broken.length === 0,
    },
  ];
}

/** Messages for which the promise was broken. */
export function faultsOf(provider: ProviderName, verdict: Verdict): number {
  const { twice, falselySent, falselyUnsent, stuck, dropped, strangers } = verdict;
  const lists = [twice, falselySent, falselyUnsent, stuck, dropped];
  const start = strangers + unresolved(provider, verdict);
  return lists.reduce((sum, ids) => sum + ids.length, start);
}

function namesOf(swept: readonly SweptPoint[]): string {
  const names = swept.map(({ point, provider }) => `${point}/${provider}`);
  return names.length === 0 ? '' : ` (${names.join(', ')})`;
}
