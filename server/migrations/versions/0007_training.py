"""Courses, training sessions and who attended."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "courses",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("audience", sa.Text(), nullable=False),
        sa.Column("modules", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("approved_by", sa.Text(), nullable=False),
        sa.Column("approved_on", sa.Date(), nullable=False),
        sa.Column("entered_by", sa.Uuid(), nullable=False),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "audience IN ('trainee', 'staff', 'manager')", name=op.f("ck_courses_audience_known")
        ),
        sa.ForeignKeyConstraint(["entered_by"], ["staff.id"], name=op.f("fk_courses_entered_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_courses")),
        sa.UniqueConstraint("reference", "version", name=op.f("uq_courses_reference_version")),
    )
    op.create_table(
        "training_sessions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("course_id", sa.Uuid(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("led_by", sa.Uuid(), nullable=False),
        sa.Column("announced_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("starts_at < ends_at", name=op.f("ck_training_sessions_not_empty")),
        sa.ForeignKeyConstraint(["course_id"], ["courses.id"], name=op.f("fk_training_sessions_course_id")),
        sa.ForeignKeyConstraint(["led_by"], ["staff.id"], name=op.f("fk_training_sessions_led_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_training_sessions")),
        sa.UniqueConstraint("course_id", "starts_at", name=op.f("uq_training_sessions_course_id_starts_at")),
    )
    op.create_table(
        "attendances",
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), server_default="enrolled", nullable=False),
        sa.Column("absence_id", sa.Uuid(), nullable=True),
        sa.Column("noted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("noted_by", sa.Uuid(), nullable=True),
        sa.CheckConstraint(
            "state IN ('enrolled', 'attended', 'excused', 'absent')",
            name=op.f("ck_attendances_state_known"),
        ),
        sa.ForeignKeyConstraint(["absence_id"], ["absences.id"], name=op.f("fk_attendances_absence_id")),
        sa.ForeignKeyConstraint(["noted_by"], ["staff.id"], name=op.f("fk_attendances_noted_by")),
        sa.ForeignKeyConstraint(
            ["session_id"], ["training_sessions.id"], name=op.f("fk_attendances_session_id")
        ),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_attendances_staff_id")),
        sa.PrimaryKeyConstraint("session_id", "staff_id", name=op.f("pk_attendances")),
    )
    op.create_index(op.f("ix_attendances_staff_id"), "attendances", ["staff_id"])
