DROP INDEX lines_by_container;
DROP TABLE referrals;
