import { primaryPart } from '../outbox/template-values.ts';

/** What the bot says to whoever opens the chat by a link. */
export interface ChatTexts {
  /** @param clinic its name. */
  linked(clinic: string): string;
  unknown: string;
}

const english: ChatTexts = {
  linked: (clinic) => `Thank you. You will get messages from ${clinic} in this chat.`,
  unknown: 'Sorry, this link is not valid any more. Please ask the clinic for a new one.',
};

const textsByLanguage: Readonly<Record<string, ChatTexts>> = Object.freeze({
  en: english,
  ru: {
    linked: (clinic) => `Спасибо! Сообщения от «${clinic}» будут приходить в этот чат.`,
    unknown: 'К сожалению, эта ссылка больше не действует. Пожалуйста, попросите в клинике новую.',
  },
  pt: {
    linked: (clinic) => `Obrigado! As mensagens de ${clinic} chegarão nesta conversa.`,
    unknown: 'Desculpe, este link não é mais válido. Por favor, peça um novo à clínica.',
  },
  es: {
    linked: (clinic) => `¡Gracias! Los mensajes de ${clinic} llegarán a este chat.`,
    unknown: 'Lo sentimos, este enlace ya no es válido. Por favor, pida uno nuevo a la clínica.',
  },
});

/** In the first of these languages that we speak. */
export function chatTexts(...languages: readonly (string | null)[]): ChatTexts {
  const known = languages.flatMap((language) =>
    language === null ? [] : (textsByLanguage[primaryPart(language)] ?? []),
  );
  return known[0] ?? english;
}
