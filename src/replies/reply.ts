export const meanings = ['stop', 'start', 'confirm', 'cancel', 'other'] as const;
export type Meaning = (typeof meanings)[number];
