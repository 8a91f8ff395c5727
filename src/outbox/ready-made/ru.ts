import type { ReadyMadeTexts } from './index.ts';

/**
 * A Cyrillic SMS of two parts holds 134 characters, and a link takes about seventy of them. So an SMS gives
 * the telephone instead; only the confirmation needs its link, and signs without the clinic's name.
 */

const recall = `{{patient.name.salutation|Здравствуйте}}, это {{clinic.name}}.

Подошло время планового визита, и мы будем рады Вас видеть. Выберите удобное время: {{link.book}}`;

const reminder = `{{patient.name.salutation|Здравствуйте}}, напоминаем о визите: ждём Вас {{appointment.date}} в {{appointment.time}}.

Если планы изменились, выберите другое время: {{link.book}}

До встречи!
{{clinic.name}}`;

const confirmation = `{{patient.name.salutation|Здравствуйте}}, ждём Вас {{appointment.date}} в {{appointment.time}}.

Пожалуйста, подтвердите, что придёте: {{link.confirm}}

{{clinic.name}}`;

const birthday = `{{patient.name.salutation|Здравствуйте}}, поздравляем Вас с днём рождения!

Желаем крепкого здоровья, тепла и добрых людей рядом. Пусть новый год жизни принесёт много поводов для радости.

{{clinic.name}}`;

const followUp = `{{patient.name.salutation|Здравствуйте}}, это {{clinic.name}}. Как Вы себя чувствуете после визита?

Если что-то беспокоит, обязательно дайте нам знать: {{clinic.phone|мы на связи}}.

Будем благодарны, если расскажете, как всё прошло: {{link.rate}}`;

export const ru: ReadyMadeTexts = {
  recall: {
    sms: {
      text: '{{patient.name.salutation|Здравствуйте}}, это {{clinic.name}}. Приглашаем Вас на плановый визит. Записаться можно по телефону {{clinic.phone|клиники}}',
    },
    email: {
      subject: 'Приглашаем Вас на плановый визит',
      text: `{{patient.name.salutation|Здравствуйте}}!

Подошло время планового визита. Короткая встреча сейчас часто избавляет от забот потом, и мы будем рады Вас видеть.

Выберите удобное время: {{link.book}}
Если удобнее по телефону: {{clinic.phone|просто позвоните нам}}.

С заботой о Вас,
{{clinic.name}}

Не присылать приглашения: {{link.unsubscribe}}`,
    },
    inbox: { subject: 'Приглашаем на плановый визит', text: recall },
    task: {
      text: `Позвонить и пригласить на плановый визит: {{patient.name.salutation|имя в карте пациента}}.

«{{patient.name.salutation|Добрый день}}, здравствуйте! Это {{clinic.name}}. Подошло время планового визита, и мы будем рады Вас видеть. Когда Вам было бы удобно прийти?»`,
    },
    whatsapp: { text: recall },
    telegram: { text: recall },
  },
  reminder: {
    sms: {
      text: '{{patient.name.salutation|Здравствуйте}}, напоминаем: ждём Вас {{appointment.date}} в {{appointment.time}}. {{clinic.name}}, {{clinic.phone|до встречи}}',
    },
    email: {
      subject: 'Ждём Вас {{appointment.date}} в {{appointment.time}}',
      text: `{{patient.name.salutation|Здравствуйте}}!

Напоминаем о Вашем визите.

Когда: {{appointment.date}} в {{appointment.time}}
Где: {{clinic.address|в нашей клинике}}

Если планы изменились, выберите другое время: {{link.book}}
Если удобнее по телефону: {{clinic.phone|просто позвоните нам}}.

До встречи!
{{clinic.name}}`,
    },
    inbox: { subject: 'Ждём Вас {{appointment.date}}', text: reminder },
    task: {
      text: `Позвонить и напомнить о визите {{appointment.date}} в {{appointment.time}}: {{patient.name.salutation|имя в карте пациента}}.

«{{patient.name.salutation|Добрый день}}, здравствуйте! Это {{clinic.name}}. Напоминаем, что ждём Вас {{appointment.date}} в {{appointment.time}}. Всё в силе?»`,
    },
    whatsapp: { text: reminder },
    telegram: { text: reminder },
  },
  confirmation: {
    sms: {
      text: '{{patient.name.salutation|Здравствуйте}}, ждём Вас {{appointment.date}} в {{appointment.time}}. Придёте? {{link.confirm}}',
    },
    email: {
      subject: 'Подтвердите, пожалуйста, визит {{appointment.date}} в {{appointment.time}}',
      text: `{{patient.name.salutation|Здравствуйте}}!

Вы записаны к нам.

Когда: {{appointment.date}} в {{appointment.time}}
Где: {{clinic.address|в нашей клинике}}

Пожалуйста, подтвердите, что придёте: {{link.confirm}}
Если время неудобно, выберите другое: {{link.book}}

До встречи!
{{clinic.name}}`,
    },
    inbox: { subject: 'Подтвердите визит {{appointment.date}}', text: confirmation },
    task: {
      text: `Позвонить и подтвердить визит {{appointment.date}} в {{appointment.time}}: {{patient.name.salutation|имя в карте пациента}}.

«{{patient.name.salutation|Добрый день}}, здравствуйте! Это {{clinic.name}}. Вы записаны к нам на {{appointment.date}}, {{appointment.time}}. Скажите, пожалуйста, Вы сможете прийти?»`,
    },
    whatsapp: { text: confirmation },
    telegram: { text: confirmation },
  },
  birthday: {
    sms: {
      text: '{{patient.name.salutation|Здравствуйте}}, с днём рождения! Желаем здоровья, тепла и добрых людей рядом. {{clinic.name}}. Не присылать: СТОП',
    },
    email: {
      subject: 'С днём рождения!',
      text: `${birthday}

Не присылать поздравления: {{link.unsubscribe}}`,
    },
    inbox: { subject: 'С днём рождения!', text: birthday },
    task: {
      text: `Позвонить и поздравить с днём рождения: {{patient.name.salutation|имя в карте пациента}}.

«{{patient.name.salutation|Добрый день}}, здравствуйте! Это {{clinic.name}}. Поздравляем Вас с днём рождения! Желаем крепкого здоровья и всего самого доброго.»`,
    },
    whatsapp: { text: `${birthday}\n\nНе присылать поздравления: ответьте СТОП` },
    telegram: { text: `${birthday}\n\nНе присылать поздравления: ответьте СТОП` },
  },
  'follow-up': {
    sms: {
      text: '{{patient.name.salutation|Здравствуйте}}, как Вы после визита? Если что-то беспокоит: {{clinic.phone|позвоните нам}}. {{clinic.name}}',
    },
    email: {
      subject: 'Как Вы себя чувствуете?',
      text: `{{patient.name.salutation|Здравствуйте}}!

Спасибо, что были у нас. Как Вы себя чувствуете после визита?

Если что-то беспокоит, обязательно дайте нам знать: {{clinic.phone|мы на связи}}.

Будем благодарны, если расскажете, как всё прошло: {{link.rate}}

С заботой о Вас,
{{clinic.name}}`,
    },
    inbox: { subject: 'Как Вы себя чувствуете?', text: followUp },
    task: {
      text: `Позвонить и спросить о самочувствии после визита: {{patient.name.salutation|имя в карте пациента}}.

«{{patient.name.salutation|Добрый день}}, здравствуйте! Это {{clinic.name}}. Хотели узнать, как Вы себя чувствуете после визита. Всё ли в порядке, нет ли вопросов?»`,
    },
    whatsapp: { text: followUp },
    telegram: { text: followUp },
  },
};
