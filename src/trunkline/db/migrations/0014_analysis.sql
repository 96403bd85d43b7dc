-- Voice analysis of recordings.

create table call_analyses (                               -- one row a recording that was, or is to be, analysed
    account_id bigint not null,
    recording_id text not null,
    call_session_id bigint not null,
    status text not null default 'pending' check (status in ('pending', 'ready', 'failed')),
    transcript_status text not null default 'not_asked'
        check (transcript_status in ('not_asked', 'pending', 'ready', 'unavailable', 'failed')),
    figures jsonb,                                         -- see trunkline.analysis.talk.Figures
    requirements jsonb,                                    -- [{"name", "required", "measured", "is_met"}]
    transcriber text,                                      -- the engine that wrote the phrases
    summary text,
    failure text,                                          -- why there are no figures
    transcript_failure text,                               -- why there are no phrases
    ordered_at timestamptz not null default now(),
    ready_at timestamptz,
    primary key (account_id, recording_id),
    foreign key (account_id, recording_id) references recordings on delete cascade
);
create index on call_analyses (account_id, call_session_id);

create sequence speech_phrase_ids;

create table speech_phrases (                              -- what was said, by a transcriber
    account_id bigint not null,
    phrase_id bigint not null default nextval('speech_phrase_ids'),
    recording_id text not null,
    call_session_id bigint not null,
    is_operator boolean not null,
    start_ms int not null,                                 -- from the recording's beginning
    end_ms int not null,
    phrase text not null,
    primary key (account_id, phrase_id),
    foreign key (account_id, recording_id) references call_analyses on delete cascade
);
create index on speech_phrases (account_id, call_session_id);
