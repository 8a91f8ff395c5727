/** The project's own files, for the tests about the house itself. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

export interface ProjectFile {
  /** Relative to the project, with forward slashes. */
  path: string;
  text: string;
}

const root = path.join(import.meta.dirname, '..', '..');

/** Folders and files that are ours; what is installed or made lies elsewhere. */
const ours = ['src', 'migrations', 'test', 'bench', 'scripts', 'docs', '.ci'];

/** All our files whose names end like one of `endings`, in a stable order. */
export function projectFiles(endings: readonly string[]): ProjectFile[] {
  const inRoot = readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => entry.name);
  const inFolders = ours.filter((folder) => existsSync(path.join(root, folder))).flatMap(under);
  return [...inRoot, ...inFolders]
    .filter((name) => endings.some((ending) => name.endsWith(ending)))
    .sort()
    .map((name) => ({ path: name, text: readProjectFile(name) }));
}

export function readProjectFile(name: string): string {
  return readFileSync(path.join(root, name), 'utf8');
}

function under(folder: string): string[] {
  return readdirSync(path.join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)))
    .map((name) => name.split(path.sep).join('/'));
}
