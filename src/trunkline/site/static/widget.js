// The script of a company's website: site phone, callback, links, and the JavaScript API for pages.
// @ts-check
(() => {
  "use strict";
  const page = /** @type {any} */ (window);
  const given = page.trunklineWidget ?? {};
  const base = given.base ?? "";
  const options = given.data ?? {};
  const queued = Array.isArray(page.__cs) ? page.__cs : [];
  let siteKey = options.site ?? "";
  for (const [name, value] of queued) if (name === "setCsAccount" || name === "setAccount") siteKey = value;
  const STORED = `trunkline-visit-${siteKey}`;
  const LIMIT = 10;
  const LIMIT_MS = 60_000;
  const TRIES = 6;

  // --- texts

  const TEXTS = {
    en: {
      open: "Call us", call: "Call from the browser", back: "Call me back", phone: "Your number", when: "When",
      now: "Now", later: "At another time", send: "Call me", hang: "Hang up", mute: "Mute", unmute: "Unmute", close: "Close",
      connecting: "Connecting…", ringing: "Calling…", talking: "Connected", ended: "The call has ended",
      failed: "The call was not possible", microphone: "Allow the microphone, please", closed: "We are closed. We open:",
      sent: "Thank you. We will call you.", sentLater: "Thank you. We will call you:", limit: "Too many calls: try again later",
      error: "We cannot call this number now", number: "Enter your number with the country code",
    },
    ru: {
      open: "Позвонить", call: "Позвонить из браузера", back: "Перезвоните мне", phone: "Ваш номер", when: "Когда",
      now: "Сейчас", later: "В другое время", send: "Жду звонка", hang: "Завершить", mute: "Без звука", unmute: "Со звуком",
      close: "Закрыть", connecting: "Соединяем…", ringing: "Вызываем…", talking: "Разговор", ended: "Звонок завершён",
      failed: "Звонок не удался", microphone: "Разрешите микрофон", closed: "Мы не работаем. Откроемся:",
      sent: "Спасибо. Мы перезвоним.", sentLater: "Спасибо. Мы перезвоним:", limit: "Слишком много звонков: попробуйте позже",
      error: "Сейчас мы не можем позвонить на этот номер", number: "Введите номер с кодом страны",
    },
    ar: {
      open: "اتصل بنا", call: "اتصل من المتصفح", back: "اتصلوا بي", phone: "رقمك", when: "متى", now: "الآن",
      later: "في وقت آخر", send: "اتصلوا بي", hang: "إنهاء", mute: "كتم", unmute: "إلغاء الكتم", close: "إغلاق",
      connecting: "جارٍ الاتصال…", ringing: "يرن…", talking: "متصل", ended: "انتهت المكالمة", failed: "تعذر الاتصال",
      microphone: "اسمح باستخدام الميكروفون", closed: "نحن مغلقون. نفتح:", sent: "شكرًا. سنتصل بك.",
      sentLater: "شكرًا. سنتصل بك:", limit: "مكالمات كثيرة: حاول لاحقًا", error: "لا يمكننا الاتصال بهذا الرقم الآن",
      number: "أدخل رقمك مع رمز البلد",
    },
  };
  const language = (options.language || document.documentElement.lang || navigator.language || "en").slice(0, 2);
  /** @type {any} */
  const texts = /** @type {any} */ (TEXTS)[language] ?? TEXTS.en;

  // --- events

  class Events {
    constructor() {
      /** @type {Map<string, Function[]>} */
      this.listeners = new Map();
    }

    /**
     * @param {string} name
     * @param {Function} callback
     */
    on(name, callback) {
      this.listeners.set(name, [...(this.listeners.get(name) ?? []), callback]);
      return this;
    }

    /**
     * @param {string} name
     * @param {Function} callback
     */
    un(name, callback) {
      this.listeners.set(name, (this.listeners.get(name) ?? []).filter((one) => one !== callback));
      return this;
    }

    /**
     * @param {string} name
     * @param {any} [detail]
     * @returns {boolean} false: a listener returned false
     */
    fire(name, detail) {
      let goesOn = true;
      for (const one of this.listeners.get(name) ?? []) {
        try {
          if (one(detail) === false) goesOn = false;
        } catch (error) {
          setTimeout(() => {
            throw error;
          });
        }
      }
      return goesOn;
    }
  }

  const events = new Events();
  /** @type {any[]} */
  const widgets = [];

  /**
   * @param {string} name
   * @param {any} detail
   */
  function publish(name, detail) {
    events.fire(name, detail);
    document.dispatchEvent(new CustomEvent(`trunkline:${name}`, { detail }));
  }

  // --- the server

  /** @type {any} */
  let visit = stored();

  function stored() {
    try {
      const kept = JSON.parse(localStorage.getItem(STORED) ?? "{}");
      return kept.until > Date.now() ? kept : {};
    } catch {
      return {};
    }
  }

  /**
   * @param {string} what
   * @param {object} body
   * @returns {Promise<any>}
   */
  async function ask(what, body) {
    const response = await fetch(`${base}/site/${siteKey}/${what}`, {
      method: "POST",
      // With this type a browser needs no preflight.
      headers: { "Content-Type": "text/plain;charset=UTF-8" },
      credentials: "omit",
      body: JSON.stringify({ visit: visit.visit ?? null, url: location.href.slice(0, 2000), ...body }),
    });
    return response.json();
  }

  const ready = begin();

  async function begin() {
    try {
      const answer = await ask("visit", {
        referrer: document.referrer.slice(0, 2000),
        title: document.title.slice(0, 200),
        screen: `${screen.width}x${screen.height}`,
        language: navigator.language,
      });
      if (!answer.success) throw new Error(answer.error);
      visit = { ...answer, until: Date.now() + Math.max(1, answer.cookie_lifetime) * 86_400_000 };
      try {
        localStorage.setItem(STORED, JSON.stringify(visit));
      } catch {
        // The visitor allows no storage: each page is a visit of its own.
      }
      publish("ready", { state: answer.state });
      return true;
    } catch (error) {
      publish("unavailable", { reason: String(error) });
      return false;
    }
  }

  // --- callback

  /** @type {number[]} */
  let asked = [];

  /**
   * @param {any} params phone, delayed_call_time, group_id, name
   * @returns {Promise<any>} the answer of the reference
   */
  async function callBack(params) {
    const now = Date.now();
    asked = asked.filter((at) => at > now - LIMIT_MS);
    if (asked.length >= LIMIT) return { success: false, result: { status: 4, code: "calls_per_minute" } };
    asked.push(now);
    await ready;
    let answer;
    try {
      const { phone, delayed_call_time, group_id, name } = params ?? {};
      answer = await ask("callback", {
        phone: String(phone ?? ""),
        delayed_call_time: delayed_call_time ?? null,
        group_id: group_id ?? null,
        name: name ?? "",
      });
    } catch (error) {
      answer = { result: { status: 3, code: "unavailable" } };
    }
    if (!answer.result) answer = { result: { status: 3, code: answer.code ?? "error" } };
    const complete = { success: answer.result.status === 0, result: answer.result };
    publish("callback", complete);
    return complete;
  }

  /**
   * @param {any} answer
   * @returns {string}
   */
  function message(answer) {
    const { status, code, call_time } = answer.result;
    if (status === 0) return call_time ? `${texts.sentLater} ${moment(call_time)}` : texts.sent;
    if (status === 4) return texts.limit;
    return code === "error" ? texts.number : texts.error;
  }

  /** @param {string} at */
  function moment(at) {
    return new Date(at).toLocaleString(language, { weekday: "short", hour: "2-digit", minute: "2-digit" });
  }

  // --- site phone

  /** A call of the browser. */
  class SitePhone extends Events {
    constructor() {
      super();
      /** @type {"idle" | "connecting" | "ringing" | "talking" | "ended" | "failed"} */
      this.state = "idle";
      /** Why it failed. */
      this.reason = "";
      this.isMuted = false;
      /** @type {any} */
      this.agent = null;
      /** @type {any} */
      this.session = null;
      this.sound = document.createElement("audio");
      this.sound.autoplay = true;
      this.run = 0;
    }

    get isLive() {
      return ["connecting", "ringing", "talking"].includes(this.state);
    }

    async start() {
      if (this.isLive) return;
      const run = ++this.run;
      this.isMuted = false;
      this.set("connecting");
      /** @type {MediaStream | null} */
      let microphone = null;
      try {
        await ready;
        microphone = await navigator.mediaDevices.getUserMedia({ audio: true });
      } catch {
        return this.fail(run, "microphone");
      }
      try {
        const line = await ask("call", {});
        if (!line.success) return this.fail(run, line.code ?? "refused", microphone);
        const { default: JsSIP } = await import(base + line.library);
        if (line.wait_ms) await pause(line.wait_ms);
        for (let left = TRIES; left > 0 && run === this.run; left -= 1) {
          const refusal = await this.dial(JsSIP, line, microphone, run);
          if (refusal !== 401 && refusal !== 403) return;
          await pause(1000); // the engine does not have the credential yet
        }
        if (run === this.run) this.fail(run, "refused", microphone);
        else release(microphone);
      } catch (error) {
        this.fail(run, "unavailable", microphone);
      }
    }

    /**
     * @param {any} JsSIP
     * @param {any} line
     * @param {MediaStream} microphone
     * @param {number} run
     * @returns {Promise<number>} 0 when the call has ended, or the status with which the server refused the credential
     */
    dial(JsSIP, line, microphone, run) {
      const host = new URL(line.server).hostname;
      const agent = new JsSIP.UA({
        sockets: [new JsSIP.WebSocketInterface(line.server)],
        uri: `sip:${line.user}@${host}`,
        authorization_user: line.user,
        realm: line.realm,
        ha1: line.ha1,
        register: false,
        session_timers: false,
        user_agent: "Trunkline site phone",
      });
      this.agent = agent;
      return new Promise((resolve) => {
        let isOver = false;
        /**
         * @param {"ended" | "failed" | null} state
         * @param {string} reason
         * @param {number} status
         */
        const over = (state, reason, status) => {
          if (isOver) return;
          isOver = true;
          agent.stop();
          if (state) {
            release(microphone);
            if (run === this.run) this.set(state, reason);
          }
          resolve(status);
        };
        agent.on("connected", () => {
          if (isOver || this.session?.isInProgress?.()) return;
          if (run !== this.run) return over("ended", "", 0);
          const session = agent.call(`sip:${line.ticket}@${host}`, {
            mediaStream: microphone,
            mediaConstraints: { audio: true, video: false },
            pcConfig: { iceServers: [] },
          });
          this.session = session;
          session.connection?.addEventListener("track", (/** @type {RTCTrackEvent} */ event) => {
            this.sound.srcObject = event.streams[0] ?? new MediaStream([event.track]);
            this.sound.play().catch(() => {});
          });
          session.on("progress", () => this.set("ringing"));
          session.on("accepted", () => this.set("talking"));
          session.on("ended", () => over("ended", "", 0));
          session.on("failed", (/** @type {any} */ { message: answer, cause, originator }) => {
            const status = originator === "remote" ? (answer?.status_code ?? 0) : 0;
            const again = status === 401 || status === 403 || cause === "Authentication Error";
            if (again) over(null, "", status || 401);
            else over(cause === "Canceled" ? "ended" : "failed", cause, 0);
          });
        });
        agent.on("disconnected", () => {
          if (!this.session || this.session.isEnded()) over("failed", "unavailable", 0);
        });
        agent.start();
      });
    }

    hangUp() {
      this.run += 1;
      if (this.session && !this.session.isEnded()) this.session.terminate();
      this.agent?.stop();
      this.session = null;
      if (this.isLive) this.set("ended");
    }

    /** @param {string} keys */
    press(keys) {
      if (this.state === "talking") this.session.sendDTMF(keys, { transportType: "RFC2833" });
    }

    /** @param {boolean} muted */
    mute(muted) {
      if (this.state !== "talking") return;
      this.session[muted ? "mute" : "unmute"]({ audio: true });
      this.isMuted = muted;
      this.fire("change", this);
    }

    /**
     * @param {number} run
     * @param {string} reason
     * @param {MediaStream | null} [microphone]
     */
    fail(run, reason, microphone = null) {
      if (microphone) release(microphone);
      if (run === this.run) this.set("failed", reason);
    }

    /**
     * @param {SitePhone["state"]} state
     * @param {string} [reason]
     */
    set(state, reason = "") {
      this.state = state;
      this.reason = reason;
      publish("call", { state, reason });
      this.fire("change", this);
    }
  }

  /** @param {MediaStream} stream */
  function release(stream) {
    for (const track of stream.getTracks()) track.stop();
  }

  /** @param {number} milliseconds */
  function pause(milliseconds) {
    return new Promise((resolve) => setTimeout(resolve, milliseconds));
  }

  const phone = new SitePhone();
  addEventListener("pagehide", () => phone.hangUp());

  // --- the panel

  const STYLE = `
    :host { position: fixed; inset-inline-end: 20px; bottom: 20px; z-index: 2147483000; font: 15px/1.4 system-ui, sans-serif; }
    * { box-sizing: border-box; font: inherit; }
    [hidden] { display: none !important; }
    button { border: 0; border-radius: 8px; padding: 10px 14px; background: #0b57d0; color: #fff; cursor: pointer; }
    button:focus-visible, input:focus-visible, select:focus-visible { outline: 3px solid #7aa7ff; outline-offset: 1px; }
    button.plain { background: #e8eaed; color: #202124; }
    button.stop { background: #b3261e; }
    .opener { border-radius: 24px; box-shadow: 0 2px 10px #0005; }
    .panel { width: min(320px, calc(100vw - 40px)); padding: 16px; border-radius: 12px; background: #fff; color: #202124;
      box-shadow: 0 4px 24px #0006; display: grid; gap: 12px; }
    form { display: grid; gap: 8px; border-top: 1px solid #dadce0; padding-top: 12px; }
    label { display: grid; gap: 4px; }
    input, select { width: 100%; padding: 8px; border: 1px solid #747775; border-radius: 6px; background: #fff; color: #202124; }
    .row { display: flex; gap: 8px; flex-wrap: wrap; }
    .keys { display: grid; grid-template-columns: repeat(3, 1fr); gap: 6px; direction: ltr; }
    p { margin: 0; } p:empty { display: none; }`;

  /**
   * @param {string} tag
   * @param {Record<string, any>} [properties]
   * @param {...(Node | string)} children
   * @returns {any}
   */
  function make(tag, properties = {}, ...children) {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  }

  class Panel extends Events {
    constructor() {
      super();
      this.host = make("div", { className: "callgear-widget trunkline-widget", lang: language });
      if (language === "ar") this.host.dir = "rtl";
      const root = this.host.attachShadow({ mode: "open" });
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(STYLE);
      root.adoptedStyleSheets = [sheet];
      this.opener = make("button", { className: "opener", type: "button", textContent: texts.open, onclick: () => this.show() });
      this.state = make("p", { role: "status" });
      this.call = make("button", { type: "button", textContent: texts.call, onclick: () => phone.start() });
      this.stop = make("button", { type: "button", className: "stop", textContent: texts.hang, onclick: () => phone.hangUp() });
      this.muting = make("button", { type: "button", className: "plain", onclick: () => phone.mute(!phone.isMuted) });
      this.keys = make("div", { className: "keys" }, ...[..."123456789*0#"].map((key) =>
        make("button", { type: "button", className: "plain", textContent: key, onclick: () => phone.press(key) })));
      this.number = make("input", { type: "tel", name: "phone", autocomplete: "tel", placeholder: "+12025550110", required: true });
      this.at = make("input", { type: "datetime-local", name: "at", hidden: true });
      this.when = make("select", { name: "when", onchange: () => this.update() },
        new Option(texts.now, "now"), new Option(texts.later, "later"));
      this.answer = make("p", { role: "status" });
      this.form = make("form", { onsubmit: (/** @type {Event} */ event) => this.send(event) },
        make("label", {}, texts.phone, this.number), make("label", {}, texts.when, this.when), this.at,
        make("button", { textContent: texts.send }), this.answer);
      this.panel = make("div", { className: "panel", hidden: true },
        make("div", { className: "row" }, this.call, this.muting, this.stop,
          make("button", { type: "button", className: "plain", textContent: texts.close, onclick: () => this.hide() })),
        this.state, this.keys, this.form);
      this.panel.setAttribute("role", "dialog");
      this.panel.setAttribute("aria-label", texts.open);
      this.panel.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
        if (event.key === "Escape") this.hide();
      });
      root.append(this.panel, this.opener);
      phone.on("change", () => this.update());
      this.update();
    }

    show() {
      if (!this.fire("beforeshow")) return;
      this.panel.hidden = false;
      this.opener.hidden = true;
      this.update();
      (this.call.hidden ? this.number : this.call).focus();
      this.fire("show");
    }

    hide() {
      if (!this.fire("beforehide")) return;
      this.panel.hidden = true;
      this.opener.hidden = false;
      this.fire("hide");
    }

    update() {
      const state = visit.state ?? {};
      const isOpen = state.is_open !== false;
      const talking = phone.state === "talking";
      this.call.hidden = phone.isLive || !state.has_phone || !isOpen;
      this.stop.hidden = !phone.isLive;
      this.muting.hidden = this.keys.hidden = !talking;
      this.muting.textContent = phone.isMuted ? texts.unmute : texts.mute;
      this.form.hidden = phone.isLive || !state.has_callback;
      this.at.hidden = this.when.value !== "later";
      this.at.required = !this.at.hidden;
      const closed = isOpen ? "" : `${texts.closed} ${state.opens_at ? moment(state.opens_at) : "—"}`;
      this.state.textContent = phone.state === "idle" ? closed : phone.reason === "microphone" ? texts.microphone : texts[phone.state];
      this.host.dataset.state = phone.state;
    }

    /** @param {Event} event */
    async send(event) {
      event.preventDefault();
      // The field is in the visitor's own zone.
      const at = this.when.value === "later" ? new Date(this.at.value).getTime() : null;
      this.answer.textContent = "…";
      this.answer.textContent = message(await callBack({ phone: this.number.value, delayed_call_time: at }));
    }

    render() {
      if (!this.host.isConnected) document.body.append(this.host);
    }
  }

  const panel = new Panel();
  const inDocument = new Promise((resolve) => {
    if (document.body) resolve(undefined);
    else addEventListener("DOMContentLoaded", () => resolve(undefined));
  });
  Promise.all([ready, inDocument]).then(([isReady]) => {
    const state = visit.state ?? {};
    if (isReady && options.panel !== "off" && (state.has_phone || state.has_callback)) panel.render();
    panel.update();
  });

  async function openPanel() {
    await Promise.all([ready, inDocument]);
    panel.render();
    panel.show();
  }

  // --- links: <a data-trunkline="call"> calls from the browser, "callback" opens the form; a tel: link works without script

  document.addEventListener("click", (event) => {
    const link = /** @type {Element} */ (event.target)?.closest?.("[data-trunkline]");
    const what = /** @type {HTMLElement} */ (link)?.dataset.trunkline;
    const state = visit.state ?? {};
    if (what === "call" && state.has_phone && state.is_open) {
      event.preventDefault();
      openPanel();
      phone.start();
    } else if (what === "callback" || (what === "call" && state.has_callback)) {
      event.preventDefault();
      openPanel();
    }
  });

  // --- widgets of pages

  class Widget extends Events {
    /**
     * @param {string} name
     * @param {any} config
     */
    constructor(name, config) {
      super();
      this.name = name;
      this.config = config ?? {};
      const tpl = this.config.tpl ?? this.config.template;
      /** @type {any} */
      this.el = tpl instanceof Element ? tpl : null;
      this.tpl = typeof tpl === "string" ? tpl : "";
      widgets.push(this);
    }

    render() {
      if (this.el || !this.fire("beforerender")) return;
      const holder = document.createElement("template");
      holder.innerHTML = filled(this.tpl, this.config.settings ?? {});
      this.el = holder.content.firstElementChild ?? document.createElement("div");
      this.el.classList.add("callgear-widget");
      document.body.append(this.el);
      this.fire("render");
    }

    show() {
      if (!this.fire("beforeshow")) return;
      this.el?.classList.remove("callgear-widget--hidden");
      this.fire("show");
    }

    hide() {
      if (!this.fire("beforehide")) return;
      this.el?.classList.add("callgear-widget--hidden");
      this.fire("hide");
    }

    destroy() {
      if (!this.fire("beforedestroy")) return;
      this.el?.remove();
      this.el = null;
    }

    /** @param {string} [selector] */
    getEl(selector) {
      return selector ? this.el?.querySelector(selector) : this.el;
    }
  }

  /** A widget that asks for callbacks. */
  class CallWidget extends Widget {
    /** @param {any} params */
    async startCall(params) {
      const answer = await callBack(params);
      const info = { title: answer.success ? texts.back : texts.failed, message: message(answer) };
      const detail = { success: answer.success, info };
      for (const name of ["callcomplete", "sitephonecall"]) this.fire(name, detail);
      return detail;
    }

    /** @param {any} params */
    async submit(params) {
      const detail = await this.startCall(params);
      if (detail.success) this.fire("leadsubmit", params);
    }

    cancel() {
      this.fire("leadcancel");
    }
  }

  /**
   * The variables of a template: `<%= name %>` and `<%- name %>`, as text. No code of a template is run.
   * @param {string} template
   * @param {any} settings
   */
  function filled(template, settings) {
    return template.replace(/<%[=-]\s*([\w.]+)\s*%>/g, (_, path) => {
      const value = path.replace(/^settings\./, "").split(".").reduce((/** @type {any} */ found, /** @type {string} */ name) => found?.[name], settings);
      return String(value ?? "").replace(/[&<>"']/g, (one) => `&#${one.charCodeAt(0)};`);
    });
  }

  const CALLING = ["sitephone", "consultant_sitephone", "call_generator"];
  /** @type {any} */
  let widgetOptions = {};
  const UI = {
    /**
     * @param {string} name
     * @param {any} [config]
     */
    createWidget: (name, config) => new (CALLING.includes(name) ? CallWidget : Widget)(name, config),
    /** @param {string} name */
    getWidget: (name) => widgets.find((one) => one.name === name) ?? null,
    /**
     * @param {string} name
     * @param {Function} controller
     */
    registerViewController: async (name, controller) => {
      await Promise.all([ready, inDocument]);
      const own = widgetOptions[name] ?? {};
      const { beforeViewControllerRun: before, afterViewControllerRun: after } = own.desktop ?? own.mobile ?? own;
      let parts = { settings: { ...(visit.state ?? {}), site_id: visit.site_id }, tpls: {} };
      if (before) parts = before(parts.settings, parts.tpls) ?? parts;
      controller(parts.settings, parts.tpls);
      after?.();
    },
  };

  // --- the API of pages

  /**
   * @param {string} what
   * @param {object} body
   * @param {Function} [callback]
   */
  async function send(what, body, callback) {
    let answer;
    try {
      await ready;
      answer = await ask(what, body);
    } catch {
      answer = { success: false };
    }
    callback?.(answer);
    return answer;
  }

  const api = {
    UI,
    on: (/** @type {string} */ name, /** @type {Function} */ callback) => events.on(name, callback),
    un: (/** @type {string} */ name, /** @type {Function} */ callback) => events.un(name, callback),
    getVisitorId: () => visit.visitor_id ?? null,
    getSessionId: () => visit.session_id ?? null,
    getCredentials: () => ({
      site_key: siteKey,
      visitor_id: visit.visitor_id ?? null,
      hit_id: visit.session_id ?? null,
      session_id: visit.session_id ?? null,
      consultant_server_url: `${base}/`,
    }),
    addVisitorInfo: (/** @type {any} */ info, /** @type {Function} */ callback) => {
      const { name = "", phone: number = "", email = "" } = info ?? {};
      send("visitor", { name, phone: number, email }, (/** @type {any} */ one) => callback?.({ success: one.success === true }));
    },
    setProperty: (/** @type {string} */ name, /** @type {string} */ value) => {
      send("property/set", { name, value: value ?? null });
    },
    deleteProperty: (/** @type {string} */ name) => {
      send("property/delete", { name });
    },
    hasProperty: (/** @type {string} */ name, /** @type {Function} */ callback) => {
      send("property", { name }, (/** @type {any} */ one) => callback?.({ success: one.success === true, result: one.has === true }));
    },
    getProperty: (/** @type {string} */ name, /** @type {Function} */ callback) => {
      send("property", { name }, (/** @type {any} */ one) =>
        callback?.({ success: one.success === true, result: one.has ? (one.value ?? true) : false }));
    },
    getOperatorStatus: () => visit.state?.is_open === true,
    openSiteRequestPanel: openPanel,
    getPhones: () => [],
    getDTPhones: () => null,
    push: run,
  };

  const widgetApi = {
    openSitePhonePanel: openPanel,
    sitePhoneCall: async (/** @type {any} */ params, /** @type {Function} */ callback) => {
      const answer = await callBack(params);
      if (typeof callback === "function") {
        callback(answer);
        return;
      }
      await openPanel();
      panel.answer.textContent = message(answer);
    },
    phone,
  };

  /** @param {any[]} command */
  function run(command) {
    const [name, value] = command ?? [];
    if (name === "applyWidgetsOptions") widgetOptions = { ...widgetOptions, ...value };
    if (name === "setUIPhoneMaskFormat") panel.number.placeholder = String(value);
  }

  for (const command of queued) run(command);
  page.__cs = { push: run };
  page.CallGear = api;
  page.CallGearWidget = widgetApi;
  page.Trunkline = { ...api, ...widgetApi, call: () => phone.start() };
})();
