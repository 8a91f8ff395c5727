/** A real browser, where the machine has one: Debian's package is `chromium`. */
import { accessSync, constants } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';
import type { Test } from 'tap';

const places = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome-stable',
  '/usr/bin/google-chrome',
];

/** Why a test that needs a browser is skipped; false where there is one. */
export const browserIsMissing: string | false =
  findBrowser() === null && 'No Chromium here: `apt-get install chromium` brings one.';

/** Ends with the test. */
export async function openBrowser(t: Pick<Test, 'teardown'>): Promise<Browser> {
  const executablePath = findBrowser();
  if (executablePath === null) throw new Error(String(browserIsMissing));
  // As root in a container Chromium has no sandbox of its own.
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
  t.teardown(() => browser.close());
  return browser;
}

function findBrowser(): string | null {
  return places.find(isExecutable) ?? null;
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
