import { pickLanguage } from '../outbox/template.ts';
