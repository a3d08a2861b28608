"""Runs side by side: which settings are better, how sure that is, and the numbers of every run as data.

    find_runs.find            directories -> runs, finished or not
    leaderboard.compared      runs -> a leaderboard for each data set; an entry is the seeds of one configuration
        statistics                means with confidence intervals; paired t-tests, corrected for their number
        conclusion                the tests in a sentence: what can be concluded, and what cannot
    table.text                leaderboards -> text for a terminal, at most 80 columns wide
    difference.difference     two runs -> what differs in configuration and outcome
    html_report.write_report  leaderboards -> one page with plots that needs nothing but a browser
    sweep_report.sweep_report the end of a sweep: its text, and its page in the sweep's directory
    results.results           directories -> a pandas DataFrame; also CSV and JSON files, with learning curves

Everything is read from the `result.json` of each run, and from its `run.json` if it was killed, so no torch is needed.
"""
