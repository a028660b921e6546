#!/usr/bin/env node
/** Entry of the command `profilecache`. */
import { runCommand } from './run.ts';

await runCommand(process.argv.slice(2));
