-- Attempts of an upload at which the decoder ended without a result: after a few of them the recording is at fault.
alter table uploaded_calls add column decoder_faults int not null default 0 check (decoder_faults >= 0);
