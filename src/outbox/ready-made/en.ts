import type { ReadyMadeTexts } from './index.ts';

/** SMS of care and marketing say how to opt out, as the United States expect. */

const recall = `Hi {{patient.name.salutation|there}}, this is {{clinic.name}}.

It's time for your next visit, and we'd love to see you again. Pick a time that suits you: {{link.book}}`;

const reminder = `Hi {{patient.name.salutation|there}}, just a friendly reminder of your visit: {{appointment.date}} at {{appointment.time}}.

Need another time? Choose one here: {{link.book}}

See you soon!
{{clinic.name}}`;

const confirmation = `Hi {{patient.name.salutation|there}}, this is {{clinic.name}}. We have you down for {{appointment.date}} at {{appointment.time}}.

Could you confirm that you're coming? {{link.confirm}}`;

const birthday = `Happy birthday, {{patient.name.salutation|and many happy returns}}!

We wish you good health, plenty of joy and good people around you in the year ahead.

Warmly,
{{clinic.name}}`;

const followUp = `Hi {{patient.name.salutation|there}}, this is {{clinic.name}}. How are you feeling after your visit?

If anything is bothering you, please let us know: {{clinic.phone|we're here to help}}.

And if you have a minute, tell us how it went: {{link.rate}}`;

export const en: ReadyMadeTexts = {
  recall: {
    sms: {
      text: "Hi {{patient.name.salutation|there}}, this is {{clinic.name}}. It's time for your next visit and we'd love to see you. Pick a time: {{link.book}} Reply STOP to opt out",
    },
    email: {
      subject: "It's time for your next visit",
      text: `Hello {{patient.name.salutation|there}},

It's time for your next visit. A short one now often saves worry later, and we'd love to see you again.

Pick a time that suits you: {{link.book}}
Rather talk to us? {{clinic.phone|Just give us a call}}.

Warmly,
{{clinic.name}}

To stop these invitations: {{link.unsubscribe}}`,
    },
    inbox: { subject: "It's time for your next visit", text: recall },
    task: {
      text: `Call and invite for the next visit: {{patient.name.salutation|name in the patient's record}}.

"Hello {{patient.name.salutation|there}}, this is {{clinic.name}}. It's time for your next visit, and we'd love to see you. Which day would suit you?"`,
    },
    whatsapp: { text: recall },
    telegram: { text: recall },
  },
  reminder: {
    sms: {
      text: "Hi {{patient.name.salutation|there}}, a friendly reminder from {{clinic.name}}: we'll see you on {{appointment.date}} at {{appointment.time}}. Questions? {{clinic.phone|Just call us}}",
    },
    email: {
      subject: 'See you on {{appointment.date}} at {{appointment.time}}',
      text: `Hello {{patient.name.salutation|there}},

Just a friendly reminder of your visit.

When: {{appointment.date}} at {{appointment.time}}
Where: {{clinic.address|at our clinic}}

Need another time? Choose one here: {{link.book}}
Rather talk to us? {{clinic.phone|Just give us a call}}.

See you soon!
{{clinic.name}}`,
    },
    inbox: { subject: 'See you on {{appointment.date}}', text: reminder },
    task: {
      text: `Call and remind of the visit on {{appointment.date}} at {{appointment.time}}: {{patient.name.salutation|name in the patient's record}}.

"Hello {{patient.name.salutation|there}}, this is {{clinic.name}}. I'm calling to remind you of your visit on {{appointment.date}} at {{appointment.time}}. Does that still work for you?"`,
    },
    whatsapp: { text: reminder },
    telegram: { text: reminder },
  },
  confirmation: {
    sms: {
      text: 'Hi {{patient.name.salutation|there}}, this is {{clinic.name}}. We have you down for {{appointment.date}} at {{appointment.time}}. Please confirm: {{link.confirm}}',
    },
    email: {
      subject: 'Please confirm your visit: {{appointment.date}} at {{appointment.time}}',
      text: `Hello {{patient.name.salutation|there}},

Your visit is booked.

When: {{appointment.date}} at {{appointment.time}}
Where: {{clinic.address|at our clinic}}

Could you confirm that you're coming? {{link.confirm}}
Need another time? Choose one here: {{link.book}}

See you soon!
{{clinic.name}}`,
    },
    inbox: { subject: 'Please confirm your visit: {{appointment.date}}', text: confirmation },
    task: {
      text: `Call and confirm the visit on {{appointment.date}} at {{appointment.time}}: {{patient.name.salutation|name in the patient's record}}.

"Hello {{patient.name.salutation|there}}, this is {{clinic.name}}. We have you down for {{appointment.date}} at {{appointment.time}}. Will you be able to make it?"`,
    },
    whatsapp: { text: confirmation },
    telegram: { text: confirmation },
  },
  birthday: {
    sms: {
      text: 'Happy birthday, {{patient.name.salutation|and many happy returns}}! We wish you good health, joy and good people around you. Warmly, {{clinic.name}}, {{clinic.phone|see you soon}}. Reply STOP to opt out',
    },
    email: {
      subject: 'Happy birthday!',
      text: `${birthday}

To stop these greetings: {{link.unsubscribe}}`,
    },
    inbox: { subject: 'Happy birthday!', text: birthday },
    task: {
      text: `Call with birthday wishes: {{patient.name.salutation|name in the patient's record}}.

"Hello {{patient.name.salutation|there}}, this is {{clinic.name}}. We just wanted to wish you a very happy birthday and a healthy, joyful year."`,
    },
    whatsapp: { text: `${birthday}\n\nReply STOP for no more greetings` },
    telegram: { text: `${birthday}\n\nReply STOP for no more greetings` },
  },
  'follow-up': {
    sms: {
      text: "Hi {{patient.name.salutation|there}}, this is {{clinic.name}}. How are you after your visit? If anything bothers you, we're here: {{clinic.phone|just call us}}",
    },
    email: {
      subject: 'How are you feeling?',
      text: `Hello {{patient.name.salutation|there}},

Thank you for coming in. How are you feeling after your visit?

If anything is bothering you, please let us know: {{clinic.phone|we're here to help}}.

And if you have a minute, tell us how it went: {{link.rate}}

Warmly,
{{clinic.name}}`,
    },
    inbox: { subject: 'How are you feeling?', text: followUp },
    task: {
      text: `Call and ask how they feel after the visit: {{patient.name.salutation|name in the patient's record}}.

"Hello {{patient.name.salutation|there}}, this is {{clinic.name}}. We'd like to know how you're feeling after your visit. Do you have any questions for us?"`,
    },
    whatsapp: { text: followUp },
    telegram: { text: followUp },
  },
};
