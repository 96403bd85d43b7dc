-- The job queue. Its own schema is that of the installed library and is applied with this file: trunkline.db.jobs_schema.

create table job_schema_changes (
    name text primary key,
    applied_at timestamptz not null default now()
);
