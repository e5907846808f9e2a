namespace ModelSdk.Runtime.Text;

/// <summary>The merges of a byte-pair encoding: which two neighbouring tokens become which one, and what comes first.</summary>
internal sealed class BytePairMerges
{
    private readonly Dictionary<long, (int Rank, int Id)> _merges;

    /// <summary>Creates an empty table.</summary>
    public BytePairMerges(int capacity) => _merges = new Dictionary<long, (int, int)>(capacity);

    /// <summary>Adds a merge of the next lower priority; a later one of the same pair replaces the earlier.</summary>
    public void Add(int left, int right, int id, int rank) => _merges[Key(left, right)] = (rank, id);

    /// <summary>Merges tokens in place, the lowest rank first and of equals the leftmost.</summary>
    /// <param name="ids">Tokens of the piece's bytes; merged tokens on return.</param>
    /// <param name="queue">Scratch space, empty before and after.</param>
    /// <returns>How many tokens are left at the front of <paramref name="ids"/>.</returns>
    public int Apply(Span<int> ids, PriorityQueue<(int At, int Id), (int Rank, int At)> queue)
    {
        int count = ids.Length;
        Span<int> next = count <= 256 ? stackalloc int[count] : new int[count];
        Span<int> previous = count <= 256 ? stackalloc int[count] : new int[count];
        for (int i = 0; i < count; i++)
        {
            previous[i] = i - 1;
            next[i] = i + 1;
        }

        for (int i = 0; i + 1 < count; i++)
            Offer(queue, i, ids[i], ids[i + 1]);
        while (queue.TryDequeue(out (int At, int Id) merge, out _))
        {
            int at = merge.At, right = next[at];
            bool stale = ids[at] < 0 || right >= count
                || !_merges.TryGetValue(Key(ids[at], ids[right]), out (int Rank, int Id) current) || current.Id != merge.Id;
            if (stale)
                continue;

            ids[at] = merge.Id;
            ids[right] = -1;
            next[at] = next[right];
            if (next[at] < count)
            {
                previous[next[at]] = at;
                Offer(queue, at, ids[at], ids[next[at]]);
            }

            if (previous[at] >= 0)
                Offer(queue, previous[at], ids[previous[at]], ids[at]);
        }

        int kept = 0;
        for (int at = 0; at < count; at = next[at])
            ids[kept++] = ids[at];
        return kept;
    }

    private void Offer(PriorityQueue<(int At, int Id), (int Rank, int At)> queue, int at, int left, int right)
    {
        if (_merges.TryGetValue(Key(left, right), out (int Rank, int Id) merge))
            queue.Enqueue((at, merge.Id), (merge.Rank, at));
    }

    private static long Key(int left, int right) => ((long)left << 32) | (uint)right;
}
