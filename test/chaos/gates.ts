import type { SweptPoint } from './fault-points.ts';
import type { Verdict } from './judge.ts';
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
  { verdict, kills, struck, interrupted }: ChaosResult,
  control: ChaosResult,
  wanted: { kills: number },
): Gate[] {
  const { sms, email } = verdict.unknown;
  const caught = control.verdict.twice.length;
  return [
    {
      gate: 'Kills; of them during work',
      figure: `${kills}; ${struck}, ${interrupted} sends interrupted`,
      goal: `${wanted.kills}; half`,
      isReached: kills >= wanted.kills && struck >= kills * struckShareMin,
    },
    zero('Taken twice by a provider', verdict.twice.length, verdict.messages),
    zero('Lost: said sent, never taken', verdict.falselySent.length, verdict.messages),
    zero('Said unsent, yet taken', verdict.falselyUnsent.length, verdict.messages),
    zero(
      'Lost: stuck or given up',
      verdict.stuck.length + verdict.dropped.length,
      verdict.messages,
    ),
    zero('Taken, but unknown to us', verdict.strangers, verdict.taken),
    zero('SMSC.ru: left unknown', sms.length, verdict.messages / 2),
    {
      gate: 'SendGrid: unknown, shown and closed',
      figure: `${email.length}, of them taken ${verdict.unknownTaken}`,
      goal: 'all shown; taken 0',
      isReached: verdict.unknownTaken === 0,
    },
    {
      gate: 'Control: claim, send, mark',
      figure: `${caught} of ${control.verdict.messages} sent twice`,
      goal: '> 0',
      isReached: caught > 0,
    },
  ];
}

export function gatesOfSweep(swept: readonly SweptPoint[]): Gate[] {
  const missed = swept.filter(({ isReached }) => !isReached);
  const broken = swept.filter(({ verdict }) => faultsOf(verdict) > 0);
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
export function faultsOf(verdict: Verdict): number {
  const { twice, falselySent, falselyUnsent, stuck, dropped, strangers, unknown } = verdict;
  const lists = [twice, falselySent, falselyUnsent, stuck, dropped, unknown.sms];
  return lists.reduce((sum, ids) => sum + ids.length, strangers + verdict.unknownTaken);
}

function zero(gate: string, count: number, of: number): Gate {
  return { gate, figure: `${count} of ${of}`, goal: '0', isReached: count === 0 };
}

function namesOf(swept: readonly SweptPoint[]): string {
  const names = swept.map(({ point, channel }) => `${point}/${channel}`);
  return names.length === 0 ? '' : ` (${names.join(', ')})`;
}
