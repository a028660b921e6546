/** The stages that a person sees of a run over many wallets. */
import { count } from './format.ts';
import type { RunTally } from './profile-run.ts';
import type { Stage } from './progress.ts';
import type { Shell } from './shell.ts';

/** The cache is asked first; only when a wallet is missing are there stages for the profiler. */
export class RunProgress {
  readonly #shell: Shell;
  readonly #total: number;
  #stage: Stage;
  #profiling = false;

  constructor(shell: Shell, total: number) {
    this.#shell = shell;
    this.#total = total;
    this.#stage = shell.progress.stage({ name: 'Asking the cache', total });
  }

  update(tally: RunTally): void {
    this.#stage.update(tally.done, this.#detail(tally));
  }

  async whilePreparing<T>(prepare: () => Promise<T>): Promise<T> {
    this.#stage.end();
    const prepared = await prepare();
    this.#profiling = true;
    this.#stage = this.#shell.progress.stage({ name: 'Profiling wallets', total: this.#total });
    return prepared;
  }

  end(tally: RunTally): void {
    this.#stage.update(tally.done);
    this.#stage.end(this.#detail(tally));
  }

  #detail({ near, l1, l2, profiler }: RunTally): string {
    const cached = near + l1 + l2;
    return this.#profiling ? `${count(profiler)} profiled${cached > 0 ? `, ${count(cached)} cached` : ''}` : 'found';
  }
}
