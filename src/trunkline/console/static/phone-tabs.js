// Of all tabs of this browser with the phone, one has it: it holds a lock, which the browser releases when the tab ends.
// @ts-check

const LOCK = "trunkline-phone";
const CHANNEL = "trunkline-phone";

/**
 * @typedef {object} Tabs
 * @property {(message: object) => void} publish sends a message to the other tabs
 * @property {() => void} take takes the phone from the tab that has it
 */

/**
 * @param {object} handlers
 * @param {() => void} handlers.begin this tab has the phone now
 * @param {() => void} handlers.end another tab has taken it
 * @param {(message: any) => void} handlers.message from another tab
 * @returns {Tabs}
 */
export function shareAmongTabs({ begin, end, message }) {
  const channel = new BroadcastChannel(CHANNEL);

  /** @param {LockOptions} options */
  async function wait(options) {
    try {
      await navigator.locks.request(LOCK, options, () => {
        begin();
        return new Promise(() => {}); // until the tab ends or another takes the phone
      });
    } catch (error) {
      if (/** @type {Error} */ (error).name !== "AbortError") throw error;
      end();
      wait({});
    }
  }

  channel.addEventListener("message", ({ data }) => message(data));
  wait({});
  return {
    publish: (content) => channel.postMessage(content),
    take: () => {
      wait({ steal: true });
    },
  };
}
