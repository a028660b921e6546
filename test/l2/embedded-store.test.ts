import { afterEach } from 'vitest';
import { EmbeddedSource } from '../../src/channel/embedded-source.ts';
import { EmbeddedStore } from '../../src/l2/embedded-store.ts';
import { l2StoreContract } from '../contract/l2-store.contract.ts';
import { makeTmpFolder } from '../support/tmp.ts';
import { embeddedOptions } from '../support/tmp-store.ts';

let folder: ReturnType<typeof makeTmpFolder>;
const channelName = 'godmode:profile_updates';

l2StoreContract(
  'embedded store',
  async () => {
    folder = makeTmpFolder('embedded');
    return open();
  },
  {
    makeTwin: open,
    makeSource: () => new EmbeddedSource(embeddedOptions(folder.path, { pollIntervalMs: 5 }), { channelName }),
    cleanUp: async () => folder.remove(),
  },
);

async function open(): Promise<EmbeddedStore> {
  const store = new EmbeddedStore(embeddedOptions(folder.path), { channelName });
  await store.open();
  return store;
}

afterEach(() => folder.remove());
