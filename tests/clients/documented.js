// Writes the code of a section of docs/logto.md to a folder: the shell block as `run.sh`, the TypeScript as `invite.mts`.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [section, folder] = process.argv.slice(2);
const page = readFileSync(new URL('../../docs/logto.md', import.meta.url), 'utf8');
const [, text] = page.split(`\n## ${section}\n`);
assert.ok(text, `docs/logto.md has no section ${section}`);
for (const [language, file] of [['sh', 'run.sh'], ['ts', 'invite.mts']]) {
  const found = text.split('\n## ')[0].match(new RegExp('^```' + language + '\\n(.*?)^```$', 'ms'));
  assert.ok(found, `${section} has no ${language} block`);
  writeFileSync(join(folder, file), found[1]);
}
