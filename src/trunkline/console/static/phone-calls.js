// The calls of one line: registers over a WebSocket, and keeps what it takes to go on with a call after the page was loaded
// again. It shows nothing; the page listens to its events.
// @ts-check

const STORED = "trunkline-phone-calls";
/** Milliseconds after which Asterisk has ended a call whose browser is gone. */
const STORED_MAX = 100_000;
/** Milliseconds between two times that the calls are stored, for a page that ends without notice. */
const STORE_EVERY = 10_000;
const REGISTER_SECONDS = 120;
/** Milliseconds for which a call without sound waits for the network. */
const NETWORK_WAIT = 60_000;
const REFUSED_WAIT = 2_000;
/** A request may have been sent after the dialog was stored; its numbers must grow. */
const SEQUENCE_GAP = 10;

/**
 * @typedef {object} Line what the server gives to register with
 * @property {string} server
 * @property {string} user
 * @property {string} login
 * @property {string} realm
 * @property {string} ha1
 * @property {string} expires_at
 * @property {boolean} may_call
 */

/** One call of the phone. */
export class Call {
  /**
   * @param {any} session
   * @param {string} number of the other party
   * @param {string} name of the other party
   */
  constructor(session, number, name) {
    this.session = session;
    /** @type {string} */
    this.id = session.id;
    this.number = number;
    this.name = name;
    this.incoming = session.direction === "incoming";
    /** @type {"ringing" | "calling" | "talking" | "ended"} */
    this.state = this.incoming ? "ringing" : "calling";
    this.held = false;
    this.muted = false;
    this.heldByOther = false;
    this.since = Date.now();
    /** Why it ended; "" for an ordinary end. */
    this.cause = "";
    /** @type {MediaStream | null} */
    this.sound = null;
  }

  get isLive() {
    return this.state !== "ended";
  }
}

/** The phone. Events: `change` (anything of it has changed), `incoming` and `ended` with the call in `detail`. */
export class Phone extends EventTarget {
  /**
   * @param {object} parts
   * @param {any} parts.JsSIP
   * @param {(path: string) => any} parts.internals modules of JsSIP
   * @param {() => Promise<Line>} parts.line asks for a credential
   * @param {() => MediaTrackConstraints | boolean} parts.microphone
   */
  constructor({ JsSIP, internals, line, microphone }) {
    super();
    this._JsSIP = JsSIP;
    this._Dialog = internals("jssip/lib/Dialog.js");
    this._askLine = line;
    this._microphone = microphone;
    /** @type {Call[]} */
    this.calls = [];
    /** @type {"stopped" | "connecting" | "registered" | "refused" | "offline"} */
    this.state = "stopped";
    /** @type {any} */
    this._ua = null;
    /** @type {Line | null} */
    this.line = null;
    this._run = 0;
    /** @type {any[]} */
    this._resumable = [];
    addEventListener("pagehide", () => this._store());
    setInterval(() => this._store(), STORE_EVERY);
    addEventListener("online", () => this._recover());
  }

  /** Register, and go on with the calls that a page before this one had. */
  async start() {
    const run = ++this._run;
    this._set("connecting");
    while (run === this._run) {
      try {
        this.line = await this._askLine();
        break;
      } catch (error) {
        if (run !== this._run) return;
        this._set("offline");
        await pause(3000);
      }
    }
    if (run !== this._run) return;
    this._resumable = stored(/** @type {Line} */ (this.line).user);
    this._open();
  }

  /** Another tab has the phone: end the connection, and leave the calls to it. */
  stop() {
    this._run += 1;
    this._resumable = [];
    const ua = this._ua;
    this._ua = null;
    for (const call of this.calls) {
      call.state = "ended";
      call.session.connection?.close();
    }
    this.calls = [];
    ua?.removeAllListeners();
    ua?._transport?.disconnect();
    this._set("stopped");
  }

  /** @param {string} number */
  call(number) {
    const session = this._ua.call(this._address(number), {
      mediaConstraints: { audio: this._microphone(), video: false },
      pcConfig: { iceServers: [] },
    });
    return this.calls.find((one) => one.session === session);
  }

  /** @param {Call} call */
  answer(call) {
    this.holdOthers(call);
    call.session.answer({
      mediaConstraints: { audio: this._microphone(), video: false },
      pcConfig: { iceServers: [] },
    });
  }

  /** @param {Call} call */
  hangUp(call) {
    if (!call.session.isEnded()) call.session.terminate();
  }

  /** @param {Call} call */
  hold(call) {
    if (!call.session.isOnHold().local) call.session.hold();
  }

  /** @param {Call} call */
  resume(call) {
    this.holdOthers(call);
    if (call.session.isOnHold().local) call.session.unhold();
  }

  /** @param {Call | null} except */
  holdOthers(except) {
    for (const one of this.calls) {
      if (one !== except && one.state === "talking") this.hold(one);
    }
  }

  /**
   * @param {Call} call
   * @param {boolean} muted
   */
  mute(call, muted) {
    if (muted) call.session.mute({ audio: true });
    else call.session.unmute({ audio: true });
  }

  /**
   * @param {Call} call
   * @param {string} keys
   */
  press(call, keys) {
    const sender = call.session.connection?.getSenders().find((/** @type {RTCRtpSender} */ one) => one.dtmf);
    if (sender?.dtmf?.canInsertDTMF) sender.dtmf.insertDTMF(sender.dtmf.toneBuffer + keys, 120, 70);
    else call.session.sendDTMF(keys);
  }

  /**
   * Hand the other party of a call over to a number; resolves when the PBX has done so.
   * @param {Call} call
   * @param {string} number
   */
  transfer(call, number) {
    return this._refer(call, this._address(number), {});
  }

  /**
   * Connect the other parties of two calls with each other.
   * @param {Call} call
   * @param {Call} other
   */
  connect(call, other) {
    const { call_id, local_tag, remote_tag } = other.session._dialog.id;
    const replaces = { _request: { call_id }, _to_tag: remote_tag, _from_tag: local_tag };
    return this._refer(call, this._address(other.number || "other"), { replaces });
  }

  /**
   * @param {Call} call
   * @param {string} target
   * @param {object} options
   * @returns {Promise<void>}
   */
  _refer(call, target, options) {
    return new Promise((resolve, reject) => {
      const refused = (/** @type {any} */ data) =>
        reject(new Error(data?.response?.reason_phrase ?? data?.status_line?.reason_phrase ?? ""));
      call.session.refer(target, {
        ...options,
        eventHandlers: {
          accepted: () => {
            if (!call.session.isEnded()) call.session.terminate();
            resolve();
          },
          failed: refused,
          requestFailed: refused,
        },
      });
    });
  }

  /** @param {string} number */
  _address(number) {
    const host = new URL(/** @type {Line} */ (this.line).server).hostname;
    return `sip:${encodeURIComponent(number.replace(/[\s()-]/g, ""))}@${host}`;
  }

  _open() {
    const line = /** @type {Line} */ (this.line);
    const socket = new this._JsSIP.WebSocketInterface(line.server);
    const ua = new this._JsSIP.UA({
      sockets: [socket],
      uri: `sip:${line.user}@${new URL(line.server).hostname}`,
      authorization_user: line.login,
      realm: line.realm,
      ha1: line.ha1,
      register_expires: REGISTER_SECONDS,
      session_timers: false,
      connection_recovery_min_interval: 1,
      connection_recovery_max_interval: 8,
      user_agent: "Trunkline browser phone",
    });
    this._ua = ua;
    ua.on("connecting", () => this._set("connecting"));
    ua.on("disconnected", () => this._set("offline"));
    ua.on("registered", () => {
      this._set("registered");
      for (const one of this._resumable.splice(0)) this._goOn(one);
      this._recover();
    });
    ua.on("registrationFailed", (/** @type {any} */ data) => this._refused(ua, data));
    ua.on("newRTCSession", (/** @type {any} */ data) => this._follow(data));
    ua.start();
  }

  /**
   * The credential has ended, or a new one is not in Asterisk yet: ask again.
   * @param {any} ua
   * @param {any} data
   */
  async _refused(ua, data) {
    const status = data?.response?.status_code ?? 0;
    if (status !== 401 && status !== 403) {
      this._set("offline");
      return;
    }
    this._set("refused");
    await pause(REFUSED_WAIT);
    if (ua !== this._ua) return;
    try {
      const line = await this._askLine();
      if (ua !== this._ua) return;
      this.line = line;
      ua.set("ha1", line.ha1);
      ua.register();
    } catch (error) {
      this._refused(ua, data);
    }
  }

  /** @param {any} data */
  _follow({ session, request, originator }) {
    const other = originator === "remote" ? request.from : session.remote_identity;
    const call = new Call(session, decodeURIComponent(other.uri.user ?? ""), other.display_name ?? "");
    this._watch(call);
    if (originator === "remote") this.dispatchEvent(new CustomEvent("incoming", { detail: call }));
    else this.holdOthers(call);
  }

  /** @param {Call} call */
  _watch(call) {
    const { session } = call;
    this.calls.push(call);
    const change = () => this._changed();
    const talking = () => {
      if (call.state !== "talking") {
        call.state = "talking";
        call.since = Date.now();
      }
      change();
    };
    session.on("accepted", talking);
    session.on("confirmed", talking);
    session.on("hold", (/** @type {any} */ { originator }) => {
      if (originator === "local") call.held = true;
      else call.heldByOther = true;
      change();
    });
    session.on("unhold", (/** @type {any} */ { originator }) => {
      if (originator === "local") call.held = false;
      else call.heldByOther = false;
      change();
    });
    session.on("muted", () => {
      call.muted = true;
      change();
    });
    session.on("unmuted", () => {
      call.muted = false;
      change();
    });
    const over = (/** @type {any} */ { cause, originator }) => {
      call.state = "ended";
      call.cause = cause === "Terminated" || (cause === "Canceled" && originator === "local") ? "" : cause;
      this.calls = this.calls.filter((one) => one !== call);
      this.dispatchEvent(new CustomEvent("ended", { detail: call }));
      change();
    };
    session.on("ended", over);
    session.on("failed", over);
    if (session.connection) this._hear(call, session.connection);
    session.on("peerconnection", (/** @type {any} */ { peerconnection }) => this._hear(call, peerconnection));
    this._survive(call);
    change();
  }

  /**
   * @param {Call} call
   * @param {RTCPeerConnection} connection
   */
  _hear(call, connection) {
    connection.addEventListener("track", ({ track, streams }) => {
      call.sound = streams[0] ?? new MediaStream([track]);
      this._changed();
    });
  }

  /**
   * JsSIP ends a call as soon as its sound finds no way; ours waits for the network to come back.
   * @param {Call} call
   */
  _survive(call) {
    const { session } = call;
    const terminate = session.terminate.bind(session);
    session.terminate = (/** @type {any} */ options) => {
      if (options?.status_code !== 408 || call.state !== "talking") {
        terminate(options);
        return;
      }
      this._recover();
      setTimeout(() => {
        if (call.isLive && session.connection?.iceConnectionState === "failed") terminate(options);
      }, NETWORK_WAIT);
    };
  }

  /** Find a new way for the sound of the calls that have none. */
  _recover() {
    if (this.state !== "registered") return;
    for (const call of this.calls) {
      const lost = ["disconnected", "failed"].includes(call.session.connection?.iceConnectionState);
      if (call.state === "talking" && lost && call.session.isReadyToReOffer()) {
        call.session.renegotiate({ rtcOfferConstraints: { iceRestart: true } });
      }
    }
  }

  /** Keep what it takes to go on with the talks. */
  _store() {
    if (this._ua === null) return;
    const talks = this.calls.filter((one) => one.state === "talking" && one.session._dialog);
    const kept = talks.map((one) => {
      const dialog = one.session._dialog;
      return {
        number: one.number,
        name: one.name,
        held: one.held,
        muted: one.muted,
        since: one.since,
        direction: one.session.direction,
        call_id: dialog._id.call_id,
        local_tag: dialog._id.local_tag,
        remote_tag: dialog._id.remote_tag,
        local_seqnum: dialog._local_seqnum ?? 1,
        remote_seqnum: dialog._remote_seqnum ?? 0,
        local_uri: dialog._local_uri.toString(),
        remote_uri: dialog._remote_uri.toString(),
        remote_target: dialog._remote_target.toString(),
        route_set: dialog._route_set,
      };
    });
    const content = { at: Date.now(), user: this.line?.user, calls: [...kept, ...this._resumable] };
    localStorage.setItem(STORED, JSON.stringify(content));
  }

  /**
   * Go on with a call of a page that is gone: Asterisk still has its dialog, and gets a new offer within it.
   * @param {any} kept
   */
  async _goOn(kept) {
    const { RTCSession, URI } = this._JsSIP;
    const ua = this._ua;
    const session = new RTCSession(ua);
    const dialog = Object.create(this._Dialog.prototype);
    Object.assign(dialog, {
      _owner: session,
      _ua: ua,
      _uac_pending_reply: false,
      _uas_pending_reply: false,
      _id: {
        call_id: kept.call_id,
        local_tag: kept.local_tag,
        remote_tag: kept.remote_tag,
        toString: () => kept.call_id + kept.local_tag + kept.remote_tag,
      },
      _state: this._Dialog.C.STATUS_CONFIRMED,
      _local_seqnum: kept.local_seqnum + SEQUENCE_GAP,
      _remote_seqnum: kept.remote_seqnum || undefined,
      _local_uri: URI.parse(kept.local_uri),
      _remote_uri: URI.parse(kept.remote_uri),
      _remote_target: URI.parse(kept.remote_target),
      _route_set: kept.route_set,
      _incoming_ack_seqnum: null,
      _outgoing_ack_seqnum: null,
    });
    const isIncoming = kept.direction === "incoming";
    Object.assign(session, {
      _id: kept.call_id + (isIncoming ? kept.remote_tag : kept.local_tag),
      _from_tag: isIncoming ? kept.remote_tag : kept.local_tag,
      _to_tag: isIncoming ? kept.local_tag : kept.remote_tag,
      _direction: kept.direction,
      _status: RTCSession.C.STATUS_CONFIRMED,
      _is_confirmed: true,
      _start_time: new Date(kept.since),
      _contact: ua.contact.toString(),
      _dialog: dialog,
      _localHold: kept.held,
    });
    ua.newDialog(dialog);
    ua._sessions[session.id] = session;
    const call = new Call(session, kept.number, kept.name);
    call.state = "talking";
    call.since = kept.since;
    call.held = kept.held;
    this._watch(call);
    session.on("sdp", (/** @type {any} */ data) => {
      data.sdp = data.originator === "local" ? withEnded(data.sdp) : withoutEnded(data.sdp);
    });
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ audio: this._microphone(), video: false });
      session._localMediaStream = stream;
      session._localMediaStreamLocallyGenerated = true;
      session._createRTCConnection({ iceServers: [] });
      for (const track of stream.getTracks()) session._connection.addTrack(track, stream);
      await this._endStream(session);
      await new Promise((resolve, reject) => {
        session._sendReinvite({ eventHandlers: { succeeded: resolve, failed: reject } });
      });
      if (kept.muted) this.mute(call, true);
    } catch (error) {
      console.warn("the call cannot go on:", error);
      if (!session.isEnded()) session.terminate();
    }
  }

  /**
   * End the stream of the former page. Its keys are gone, and Asterisk makes no new ones for a stream that it has: another
   * stream takes its place for a moment, so that the first one begins anew with the next offer.
   * @param {any} session
   */
  async _endStream(session) {
    const connection = new RTCPeerConnection();
    connection.addTransceiver("audio");
    const offer = await connection.createOffer();
    connection.close();
    const [head, ...streams] = parts(offer.sdp ?? "");
    await new Promise((resolve, reject) => {
      session.sendRequest("INVITE", {
        extraHeaders: [`Contact: ${session._contact}`, "Content-Type: application/sdp"],
        body: [head, ENDED, ...streams].join(""),
        eventHandlers: {
          onSuccessResponse: () => {
            session.sendRequest("ACK");
            resolve(undefined);
          },
          onErrorResponse: (/** @type {any} */ response) => reject(new Error(`status ${response.status_code}`)),
          onTransportError: reject,
          onRequestTimeout: reject,
          onDialogError: reject,
        },
      });
    });
  }

  /** @param {Phone["state"]} state */
  _set(state) {
    this.state = state;
    this._changed();
  }

  _changed() {
    this._store();
    this.dispatchEvent(new Event("change"));
  }
}

/**
 * @param {string} user of the line
 * @returns {any[]} calls of a page before this one
 */
function stored(user) {
  try {
    const kept = JSON.parse(localStorage.getItem(STORED) ?? "{}");
    return kept.user === user && Date.now() - kept.at < STORED_MAX ? kept.calls : [];
  } catch {
    return [];
  }
}

const ENDED = ["m=audio 0 UDP/TLS/RTP/SAVPF 0", "c=IN IP4 0.0.0.0", "a=inactive", "a=mid:ended", ""].join("\r\n");

/**
 * @param {string} sdp
 * @returns {string[]} what is of the session, then each stream
 */
function parts(sdp) {
  return sdp.split(/(?=^m=)/m);
}

/**
 * A description of the browser, with the stream that has ended.
 * @param {string} sdp
 */
function withEnded(sdp) {
  return sdp.includes("a=mid:ended") ? sdp : sdp + ENDED;
}

/**
 * A description for the browser, which knows nothing of the stream that has ended.
 * @param {string} sdp
 */
function withoutEnded(sdp) {
  return parts(sdp).slice(0, 2).join("");
}

/** @param {number} milliseconds */
function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
