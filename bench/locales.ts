import type { Random } from './random.ts';

/** What differs between clinics of four languages: names, numbers, money, time. All of it is invented. */
export interface Locale {
  country: string;
  language: string;
  currency: string;
  timeZone: string;
  /** Of the zone all the year round, near enough for opening hours. */
  offsetHours: number;
  /** The price of a consultation, whole units. */
  price: number;
  clinic: string;
  cities: readonly string[];
  payers: readonly { id: string; name: string }[];
  practitioners: readonly { id: string; name: string }[];
  services: readonly Service[];
  name(random: Random, gender: Gender): PersonName;
  /** A valid number that is nobody's: of a range that is not allotted, or kept for fiction. */
  phone(index: number): string;
}

export type Gender = 'female' | 'male';

export interface PersonName {
  family: string;
  given: string;
  middle?: string;
}

export interface Service {
  id: string;
  name: string;
  /** Times the price of a consultation. */
  factor: number;
  /** How often it is what one comes for. */
  weight: number;
}

export const languages = ['ru', 'pt', 'es', 'en'] as const;
export type Language = (typeof languages)[number];

const serviceIds = ['hygiene', 'consultation', 'treatment', 'x-ray', 'implant'] as const;
const factors = [1.5, 1, 2.5, 0.6, 12] as const;
const weights = [0.42, 0.25, 0.25, 0.06, 0.02] as const;

function services(...names: [string, string, string, string, string]): Service[] {
  return serviceIds.map((id, at) => ({
    id,
    name: names[at] ?? id,
    factor: factors[at] ?? 1,
    weight: weights[at] ?? 0,
  }));
}

function practitioners(...names: string[]): { id: string; name: string }[] {
  return names.map((name, at) => ({ id: `dr-${at + 1}`, name }));
}

function digits(value: number, length: number): string {
  return String(value % 10 ** length).padStart(length, '0');
}

function words(text: string): string[] {
  return text.split(' ');
}

const russian = {
  families: words(
    'Иванов Смирнов Кузнецов Попов Васильев Петров Соколов Михайлов Новиков Фёдоров Морозов Волков Алексеев Лебедев Семёнов Егоров Павлов Козлов Степанов Николаев Орлов Андреев Макаров Никитин Захаров Зайцев Соловьёв Борисов Яковлев Григорьев',
  ),
  female: words(
    'Анна Мария Елена Ольга Наталья Екатерина Татьяна Ирина Светлана Юлия Дарья Анастасия Виктория Полина Софья Людмила Галина Вера',
  ),
  male: words(
    'Александр Дмитрий Сергей Андрей Алексей Максим Иван Михаил Николай Владимир Павел Артём Евгений Олег Виктор Роман Игорь Юрий',
  ),
  fathers: words(
    'Александров Сергеев Андреев Алексеев Иванов Николаев Владимиров Павлов Викторов Михайлов',
  ),
};

const portuguese = {
  families: words(
    'Silva Santos Oliveira Souza Lima Pereira Ferreira Costa Rodrigues Almeida Nascimento Alves Carvalho Araújo Ribeiro Gomes Martins Rocha Barbosa Melo',
  ),
  female: words(
    'Maria Ana Juliana Fernanda Camila Beatriz Larissa Patrícia Aline Márcia Luciana Gabriela Letícia Helena',
  ),
  male: words(
    'João José Pedro Lucas Carlos Paulo Marcos Rafael Bruno Felipe Gustavo Thiago André Eduardo',
  ),
};

const spanish = {
  families: words(
    'Hernández García Martínez López González Pérez Rodríguez Sánchez Ramírez Cruz Flores Gómez Morales Vázquez Jiménez Reyes Díaz Torres Gutiérrez Ruiz',
  ),
  female: words(
    'María Guadalupe Juana Margarita Verónica Alejandra Fernanda Gabriela Lucía Sofía Ximena Carmen Rosa Elena',
  ),
  male: words(
    'José Juan Luis Carlos Jorge Miguel Alejandro Francisco Fernando Ricardo Diego Santiago Mateo Raúl',
  ),
};

const english = {
  families: words(
    'Smith Johnson Williams Brown Jones Miller Davis Wilson Anderson Taylor Thomas Moore Martin Jackson Thompson White Harris Clark Lewis Walker',
  ),
  female: words(
    'Mary Patricia Jennifer Linda Elizabeth Susan Jessica Sarah Karen Emily Megan Hannah Olivia Grace',
  ),
  male: words(
    'James Robert John Michael David William Richard Joseph Thomas Daniel Matthew Anthony Mark Steven',
  ),
};

type Names = { families: string[]; female: string[]; male: string[] };

const plainName =
  (names: Names) =>
  (random: Random, gender: Gender): PersonName => ({
    family: random.pick(names.families),
    given: random.pick(names[gender]),
  });

const twoFamilies =
  (names: Names) =>
  (random: Random, gender: Gender): PersonName => ({
    family: `${random.pick(names.families)} ${random.pick(names.families)}`,
    given: random.pick(names[gender]),
  });

function russianName(random: Random, gender: Gender): PersonName {
  const ending = gender === 'female' ? { family: 'а', middle: 'на' } : { family: '', middle: 'ич' };
  return {
    family: random.pick(russian.families) + ending.family,
    given: random.pick(russian[gender]),
    middle: random.pick(russian.fathers) + ending.middle,
  };
}

/** Area codes of which 555-0100 to 555-0199 are kept for fiction. */
const areaCodes = [201, 202, 212, 213, 303, 305, 312, 404, 415, 503, 512, 602, 617, 702, 713, 801];

export const locales: Readonly<Record<Language, Locale>> = {
  ru: {
    country: 'RU',
    language: 'ru',
    currency: 'RUB',
    timeZone: 'Europe/Moscow',
    offsetHours: 3,
    price: 2_000,
    clinic: 'Клиника «Ромашка»',
    cities: ['Москва', 'Химки', 'Мытищи', 'Балашиха'],
    payers: [
      { id: 'dms', name: 'ДМС' },
      { id: 'oms', name: 'ОМС' },
    ],
    practitioners: practitioners('Белова А. И.', 'Громов П. С.', 'Ким О. В.', 'Лисин Н. Н.'),
    services: services(
      'Профессиональная гигиена',
      'Консультация',
      'Лечение',
      'Снимок',
      'Имплантация',
    ),
    name: russianName,
    phone: (index) => `+7945${digits(index, 7)}`,
  },
  pt: {
    country: 'BR',
    language: 'pt-BR',
    currency: 'BRL',
    timeZone: 'America/Sao_Paulo',
    offsetHours: -3,
    price: 180,
    clinic: 'Clínica Ipê',
    cities: ['São Paulo', 'Osasco', 'Guarulhos'],
    payers: [{ id: 'convenio', name: 'Convênio' }],
    practitioners: practitioners('Dra. Helena Prado', 'Dr. Caio Mendes', 'Dra. Lia Tavares'),
    services: services('Limpeza', 'Consulta', 'Tratamento', 'Radiografia', 'Implante'),
    name: plainName(portuguese),
    phone: (index) => `+551190${digits(index, 7)}`,
  },
  es: {
    country: 'MX',
    language: 'es',
    currency: 'MXN',
    timeZone: 'America/Mexico_City',
    offsetHours: -6,
    price: 600,
    clinic: 'Clínica Jacaranda',
    cities: ['Ciudad de México', 'Naucalpan', 'Puebla'],
    payers: [{ id: 'seguro', name: 'Seguro' }],
    practitioners: practitioners('Dra. Inés Robles', 'Dr. Tomás Lara', 'Dra. Alma Cantú'),
    services: services('Limpieza', 'Consulta', 'Tratamiento', 'Radiografía', 'Implante'),
    name: twoFamilies(spanish),
    phone: (index) => `+52550${digits(index, 7)}`,
  },
  en: {
    country: 'US',
    language: 'en',
    currency: 'USD',
    timeZone: 'America/New_York',
    offsetHours: -5,
    price: 120,
    clinic: 'Maple Street Clinic',
    cities: ['New York', 'Yonkers', 'Newark'],
    payers: [{ id: 'ppo', name: 'PPO' }],
    practitioners: practitioners('Dr. Ruth Lane', 'Dr. Omar Wells', 'Dr. Ada Frost'),
    services: services('Cleaning', 'Consultation', 'Treatment', 'X-ray', 'Implant'),
    name: plainName(english),
    phone: (index) =>
      `+1${areaCodes[Math.floor(index / 100) % areaCodes.length]}55501${digits(index, 2)}`,
  },
};
