import { type ActionKind, actionId } from '../channels/action.ts';
import type { OutboundMessage } from '../channels/channel.ts';
import type { EffectiveChannel } from './channel-store.ts';
import type { GuardFacts } from './guard-store.ts';
import { primaryPart } from './template-values.ts';

/** The buttons under a message, where its channel has any: what a patient may want to say with one tap. */
export function actionsFor(
  facts: Pick<GuardFacts, 'id' | 'purpose' | 'guard'>,
  { adapter, config }: Pick<EffectiveChannel, 'adapter' | 'config'>,
  language: string,
): NonNullable<OutboundMessage['actions']> {
  const { buttons } = adapter.capabilities(config);
  if (buttons === null) return [];
  const labels = labelsByLanguage[primaryPart(language)] ?? english;
  return kindsFor(facts)
    .slice(0, buttons.max)
    .map((kind) => ({ id: actionId(kind, facts.id), label: labels[kind] }));
}

function kindsFor({ purpose, guard }: Pick<GuardFacts, 'purpose' | 'guard'>): ActionKind[] {
  const { anchor } = guard;
  const isOfComing = anchor?.kind === 'appointment' && (anchor.status ?? 'upcoming') === 'upcoming';
  if (isOfComing) return ['confirm', 'other-time', 'cancel'];
  return purpose === 'marketing' ? ['stop'] : [];
}

/** None is longer than the 20 characters that WhatsApp takes. */
type Labels = Readonly<Record<ActionKind, string>>;

const english: Labels = {
  confirm: 'I will come',
  'other-time': 'Another time',
  cancel: 'I cannot come',
  stop: 'Stop messages',
};

const labelsByLanguage: Readonly<Record<string, Labels>> = Object.freeze({
  en: english,
  ru: {
    confirm: 'Приду',
    'other-time': 'Другое время',
    cancel: 'Не смогу прийти',
    stop: 'Отписаться',
  },
  pt: {
    confirm: 'Confirmo',
    'other-time': 'Outro horário',
    cancel: 'Não poderei ir',
    stop: 'Não receber mais',
  },
  es: {
    confirm: 'Confirmo',
    'other-time': 'Otro horario',
    cancel: 'No podré ir',
    stop: 'No recibir más',
  },
});
