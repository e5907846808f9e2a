using MathTutor.Recipe.World;
using ModelSdk.Training;
using static TorchSharp.torch;

namespace MathTutor.Recipe.Pretraining;

/// <summary>
/// What the base can do, on fresh problems: share of documents of which every labelled token is the most likely one. As the labels
/// of a probe follow from the text before them, this is what greedy decoding would get right.
/// </summary>
internal sealed class Probes
{
    private readonly List<(string Name, TokenBatch Batch)> _probes = [];

    public Probes(Batches batches, HeldOut heldOut, int each)
    {
        var dice = Dice.For(DataFiles.Seed, "probes");
        (Story Story, string Asked)[] Problems(int depth)
        {
            var problems = new List<(Story, string)>();
            while (problems.Count < each)
            {
                (Story story, string asked) = StoryTeller.Tell(dice, depth);
                if (!heldOut.Contains(story))
                {
                    problems.Add((story, asked));
                }
            }

            return [.. problems];
        }

        void Add(string name, int depth, Func<(Story Story, string Asked), Document> write) =>
            _probes.Add((name, batches.Rectangle([.. Problems(depth).Select(p => batches.Encode(write(p)))])));

        foreach (int depth in (int[])[0, 1, 2, 3, 4, 5, 6])
        {
            Add($"direct {depth}", depth, Direct);
        }

        foreach (int depth in (int[])[1, 2, 3, 4, 5, 6, 8])
        {
            Add($"worked {depth}", depth, Worked);
        }
    }

    /// <summary>Percent right by probe.</summary>
    public IReadOnlyList<(string Name, double Percent)> Measure(Transformer model)
    {
        using var off = no_grad();
        return [.. _probes.Select(p => (p.Name, Percent(model, p.Batch)))];
    }

    private static double Percent(Transformer model, TokenBatch batch)
    {
        using var scope = NewDisposeScope();
        long[] best = model.Logits(batch).argmax(-1).cpu().data<long>().ToArray();
        int right = 0;
        for (int r = 0; r < batch.Rows; r++)
        {
            bool all = true;
            for (int t = 1; t < batch.Length; t++)
            {
                int at = (r * batch.Length) + t;
                all &= batch.LossWeights[at] == 0 || best[at - 1] == batch.Ids[at];
            }

            right += all ? 1 : 0;
        }

        return 100.0 * right / batch.Rows;
    }

    private static Document Direct((Story Story, string Asked) p) => new(
    [
        new($"<|im_start|>user\n{p.Story.Text} {p.Story.Question(p.Asked)}<|im_end|>\n<|im_start|>assistant\n", 0),
        new($"{Reasoning.Answer(p.Story, p.Asked)}<|im_end|>", 1),
    ]);

    // How many checks follow is a matter of chance: the label ends before it.
    private static Document Worked((Story Story, string Asked) p) => new(
    [
        new($"{p.Story.Text} {p.Story.Question(p.Asked)}\n", 0),
        new("<think>", 0),
        new(p.Story.Pass(), 1),
        new("</think>\n\n", 0),
        new($"{Reasoning.Answer(p.Story, p.Asked)}<|endoftext|>", 1),
    ]);
}
