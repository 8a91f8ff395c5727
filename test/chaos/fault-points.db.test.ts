import t from 'tap';
import { createDatabase, sharedPostgres } from '../support/postgres.ts';
import { sweepFaultPoints } from './fault-points.ts';

const seed = 1;

t.test(
  'a process that dies at any of the named points sends nothing twice and loses nothing',
  async (t) => {
    const postgres = await sharedPostgres();
    const databaseUrl = postgres.url(await createDatabase(postgres));
    const swept = await sweepFaultPoints({ databaseUrl, seed });
    for (const { point, provider, isReached, verdict } of swept) {
      const { twice, falselySent, falselyUnsent, stuck, dropped, strangers, unknown } = verdict;
      t.ok(isReached, `it died at ${point} with ${provider}`);
      t.ok(verdict.messages > 0);
      t.same(
        {
          ...{ twice, falselySent, falselyUnsent, stuck, dropped, strangers },
          unknown: provider === 'smsc' ? unknown : [],
        },
        {
          twice: [],
          falselySent: [],
          falselyUnsent: [],
          stuck: [],
          dropped: [],
          strangers: 0,
          unknown: [],
        },
        `nothing was lost at ${point} with ${provider}`,
      );
    }
  },
);
