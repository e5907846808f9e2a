namespace ModelSdk.Runtime.Decoding;

/// <summary>
/// Guesses how a sequence goes on: as it did after the last place where the same tokens stood (prompt lookup; Yang et al., arXiv 2304.04487).
/// Reasoning quotes its question, repeats its steps and checks them, so such guesses are often right, and they cost no model.
/// </summary>
/// <remarks>
/// How many tokens it offers depends on how often offers were right in this sequence behind a match of the same length, and on what a pass of so many rows
/// costs. No clock has a part in it: equal sequences get equal offers.
/// </remarks>
internal sealed class PromptLookup
{
    /// <summary>Longer matches are not told apart.</summary>
    private const int LongestMatch = 8;

    /// <summary>Places that are compared at most, the latest first.</summary>
    private const int MostPlaces = 64;

    /// <summary>What each row beyond two adds to a pass, in passes of two rows.</summary>
    private const double RowCost = 0.25;

    /// <summary>Weight of what is assumed before anything was offered, in offers.</summary>
    private const double AssumedOffers = 4;

    /// <summary>What an offer's weight is multiplied by at each later offer behind a match of the same length.</summary>
    private const double Memory = 0.95;

    private readonly List<int> _tokens = [];
    private readonly List<int> _samePair = [];
    private readonly Dictionary<int, int> _lastToken = [];
    private readonly Dictionary<long, int> _lastPair = [];
    private readonly double[] _right = new double[LongestMatch + 1];
    private readonly double[] _offers = new double[LongestMatch + 1];
    private int _sameToken = -1;
    private int _source;
    private int _match;
    private int _offered;

    /// <summary>Begins with texts that are likely to come: they are found as if they had been said before everything else.</summary>
    /// <param name="known">Their tokens.</param>
    public PromptLookup(ReadOnlySpan<int> known)
    {
        for (int match = 1; match <= LongestMatch; match++)
        {
            _offers[match] = AssumedOffers;
            _right[match] = AssumedOffers * Math.Min(0.9, 0.4 + 0.1 * match);
        }

        AddText(known);
    }

    /// <summary>Adds tokens that were not chosen one by one.</summary>
    public void AddText(ReadOnlySpan<int> tokens)
    {
        _offered = 0;
        foreach (int token in tokens)
            Add(token);
    }

    /// <summary>Adds the token that was chosen; it tells whether the offer was right.</summary>
    public void Add(int token)
    {
        int place = _tokens.Count;
        if (_offered > 0)
        {
            bool right = _tokens[++_source] == token;
            _offers[_match] = _offers[_match] * Memory + 1;
            _right[_match] = _right[_match] * Memory + (right ? 1 : 0);
            _match = Math.Min(_match + 1, LongestMatch);
            _offered = right ? _offered - 1 : 0;
        }

        _sameToken = _lastToken.GetValueOrDefault(token, -1);
        _lastToken[token] = place;
        long pair = ((long)(place == 0 ? -1 : _tokens[^1]) << 32) | (uint)token;
        _samePair.Add(_lastPair.GetValueOrDefault(pair, -1));
        _lastPair[pair] = place;
        _tokens.Add(token);
    }

    /// <summary>Offers tokens that may follow those added.</summary>
    /// <param name="draft">Takes them; its length is the most that is wanted.</param>
    /// <returns>Number of tokens offered.</returns>
    public int Draft(Span<int> draft)
    {
        _offered = 0;
        Find();
        if (_match == 0)
            return 0;
        double chance = 1;
        double tokens = 1;
        double best = 0;
        for (int count = 1; count <= draft.Length; count++)
        {
            int match = Math.Min(_match + count - 1, LongestMatch);
            chance *= _right[match] / _offers[match];
            tokens += chance;
            // Rows are run in pairs, so the first token costs nothing.
            double rate = tokens / (1 + RowCost * (count / 2 * 2));
            if (rate > best)
            {
                best = rate;
                _offered = count;
            }
        }

        // A match at the end goes on into the offer itself: what repeats is taken to repeat again.
        for (int i = 0; i < _offered; i++)
        {
            int from = _source + 1 + i;
            draft[i] = from < _tokens.Count ? _tokens[from] : draft[from - _tokens.Count];
        }

        return _offered;
    }

    /// <summary>Finds the latest of the places where the longest run of the last tokens stood before.</summary>
    private void Find()
    {
        _match = 0;
        if (_tokens.Count == 0)
            return;
        int end = _tokens.Count - 1;
        int place = _samePair[end];
        for (int seen = 0; place >= 0 && seen < MostPlaces && _match < LongestMatch; seen++)
        {
            int match = 2;
            while (match < LongestMatch && match <= place && _tokens[place - match] == _tokens[end - match])
                match++;
            if (match > _match)
            {
                _match = match;
                _source = place;
            }

            place = _samePair[place];
        }

        if (_match == 0 && _sameToken >= 0)
        {
            _match = 1;
            _source = _sameToken;
        }
    }
}
