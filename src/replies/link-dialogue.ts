import type { Clinic } from '../history/clinic.ts';
import { templateValue } from '../outbox/template-values.ts';
import type { Line, LinkPage, PageForm } from './link-page.ts';
import type { OpenLink } from './open-link.ts';
import { allPageTexts, type PageTexts } from './page-texts.ts';

/** What a page asks, and what it says when that is done. Pure. */

export type PageSubject = Pick<OpenLink, 'clinic' | 'action' | 'appointment' | 'texts'>;

export function askPage(subject: PageSubject): LinkPage {
  const { texts, clinic, action, appointment } = subject;
  switch (action) {
    case 'confirm':
      if (appointment === null) return movedPage(clinic, texts);
      return page(clinic, texts, texts.confirmTitle, [whenLine(subject)], {
        buttons: [
          { answer: 'confirm', label: texts.confirmButton },
          { answer: 'cancel', label: texts.cannotComeButton },
          { answer: 'other-time', label: texts.otherTimeButton },
        ],
      });
    case 'book':
      return page(clinic, texts, texts.bookTitle, [], {
        note: { label: texts.bookLabel },
        buttons: [{ answer: 'other-time', label: texts.bookButton }],
      });
    case 'rate':
      return page(clinic, texts, texts.rateTitle, [], {
        rating: { legend: texts.rateLegend, worst: texts.rateWorst, best: texts.rateBest },
        note: { label: texts.rateLabel },
        buttons: [{ answer: 'rate', label: texts.rateButton }],
      });
    case 'verify':
      return page(clinic, texts, texts.verifyTitle, [], {
        note: { label: texts.verifyLabel },
        buttons: [
          { answer: 'unchanged', label: texts.unchangedButton },
          { answer: 'changed', label: texts.changedButton },
        ],
      });
    case 'unsubscribe':
      return page(clinic, texts, texts.unsubscribeTitle, [texts.unsubscribeNote], {
        buttons: [{ answer: 'unsubscribe', label: texts.unsubscribeButton }],
      });
  }
}

/** @param said what is answered, such as `texts.confirmed`. */
export function donePage({ clinic, texts }: PageSubject, said: string): LinkPage {
  return page(clinic, texts, said, phoneLines(clinic, texts));
}

/** One that has no appointment to answer for may still ask for a time. */
export function movedPage(clinic: Clinic, texts: PageTexts): LinkPage {
  return page(clinic, texts, texts.noAppointment, phoneLines(clinic, texts), {
    buttons: [{ answer: 'other-time', label: texts.otherTimeButton }],
  });
}

export function expiredPage(clinic: Clinic, texts: PageTexts): LinkPage {
  return page(clinic, texts, texts.expired, phoneLines(clinic, texts));
}

/** Whose link it was is not known, nor the reader's language: it is said in all of them. */
export function unknownPage(): LinkPage {
  const [first, ...others] = allPageTexts;
  return {
    language: first?.language ?? 'en',
    clinicName: null,
    title: first?.unknown ?? '',
    lines: others.map(({ language, unknown }) => ({ language, text: unknown })),
  };
}

function page(
  clinic: Clinic,
  texts: PageTexts,
  title: string,
  lines: readonly Line[],
  form?: PageForm,
): LinkPage {
  const { name: clinicName, settings } = clinic;
  const { language } = texts;
  const base = { language, clinicName, color: settings.brandColor, title, lines };
  return form ? { ...base, form } : base;
}

function whenLine({ clinic, appointment, texts }: PageSubject): string {
  if (appointment === null) return '';
  const meeting = { start: appointment.startAt, zone: appointment.timeZone ?? clinic.timeZone };
  const facts = { appointment: meeting };
  const date = templateValue('appointment.date', facts, texts.language);
  return `${date}, ${templateValue('appointment.time', facts, texts.language)}`;
}

function phoneLines({ settings }: Clinic, { callUs }: PageTexts): Line[] {
  return settings.phone === undefined ? [] : [{ label: callUs, phone: settings.phone }];
}
